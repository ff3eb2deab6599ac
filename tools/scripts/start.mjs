import './lib/check-node.mjs';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { ensureBuilt } from './lib/build.mjs';
import { Failure, main } from './lib/fail.mjs';
import { ensureInstalled } from './lib/install.mjs';
import { node24 } from './lib/node24.mjs';
import { inRoot } from './lib/paths.mjs';
import { whoHolds } from './lib/port.mjs';
import { handOver, stream, withBin } from './lib/process.mjs';

const DEMO = 'demo';
const DEFAULT_PORT = 8000;
const HELP = `npm start [-- --port N]

Installs, builds and starts the backup server; the second start takes seconds. Without a configuration (BACKUP_CONFIG
or ./backup.yaml) it makes a sample application in ./demo and protects that.

  --port N   the port to listen on (default: PORT, else ${DEFAULT_PORT}); other arguments go to the server`;

/** `--port N` wins over PORT; what is not understood here is the server's. */
function parseArguments(args) {
  const rest = [...args];
  let port = process.env.PORT ?? '';
  let from = 'PORT';
  for (let i = 0; i < rest.length;) {
    const match = /^--port(?:=(.*))?$/.exec(rest[i]);
    if (match === null) {
      i++;
      continue;
    }
    from = '--port';
    port = match[1] ?? rest[i + 1] ?? '';
    rest.splice(i, match[1] === undefined ? 2 : 1);
  }
  if (from === 'PORT' && port === '') return { port: DEFAULT_PORT, rest };
  const number = Number(port);
  if (!/^\d{1,5}$/.test(port) || number < 1 || number > 65_535) {
    throw new Failure(`${from} must be a number from 1 to 65535, for example: npm start -- --port 8001`, 2);
  }
  return { port: number, rest };
}

/** Where the configuration is: the user's own, else that of the sample application, which is made when it is missing. */
async function configuration() {
  const chosen = process.env.BACKUP_CONFIG;
  if (chosen !== undefined && chosen !== '') return path.resolve(chosen);
  const own = inRoot('backup.yaml');
  if (existsSync(own)) return own;
  const sample = inRoot(DEMO, 'backup.yaml');
  if (!existsSync(sample)) {
    const code = await stream(node24(), [inRoot('tools', 'scripts', 'sample.mjs'), DEMO]);
    if (code !== 0) {
      throw new Failure(
        `The sample application could not be made in ./${DEMO} (exit code ${code}). ` +
          `If ./${DEMO} holds nothing you need, delete it and run npm start again.`,
      );
    }
  }
  return sample;
}

await main(async () => {
  const args = process.argv.slice(2);
  if (args.includes('--help') || args.includes('-h')) {
    console.log(HELP);
    return 0;
  }
  const { port, rest } = parseArguments(args);
  const holder = await whoHolds(process.env.HOST || undefined, port);
  if (holder.kind === 'ours') {
    console.log(`FoodSave Backup is already running: ${holder.url}`);
    return 0;
  }
  if (holder.kind === 'other') {
    const free = port < 65_535 ? port + 1 : DEFAULT_PORT;
    throw new Failure(`Port ${port} is in use by another program. Choose another one: PORT=${free} npm start`, 2);
  }
  await ensureInstalled();
  await ensureBuilt();
  const config = await configuration();
  const env = withBin({ BACKUP_CONFIG: config, PORT: String(port) });
  return handOver(node24(), [inRoot('apps', 'api', 'dist', 'main.js'), ...rest], { env });
});
