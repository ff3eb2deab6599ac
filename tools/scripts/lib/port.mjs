import { get } from 'node:http';
import { createServer } from 'node:net';

const OURS = 'x-foodsave-backup';
const ANSWER_WITHIN_MS = 2_000;
const LOOPBACK = '127.0.0.1';
const ALL_ADDRESSES = new Set(['0.0.0.0', '::', '']);

/**
 * Who listens on a port: `free`, `ours` (a FoodSave Backup server, with its URL) or `other`. What cannot be found out here
 * (no such address, a port that needs root) counts as free: the server itself says what is wrong when it tries.
 */
export async function whoHolds(host = LOOPBACK, port) {
  if (!(await isTaken(host, port))) return { kind: 'free' };
  const address = ALL_ADDRESSES.has(host) ? LOOPBACK : host;
  const url = `http://${address.includes(':') ? `[${address}]` : address}:${port}`;
  return (await isOurs(url)) ? { kind: 'ours', url: `${url}/backup` } : { kind: 'other' };
}

function isTaken(host, port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(error.code === 'EADDRINUSE'));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(false)));
  });
}

/** Our server marks its liveness answer with a header, also before anyone has logged in. */
function isOurs(url) {
  return new Promise((resolve) => {
    const request = get(`${url}/health/live`, { timeout: ANSWER_WITHIN_MS, agent: false }, (response) => {
      response.resume();
      resolve(response.headers[OURS] === '1');
    });
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', () => resolve(false));
  });
}
