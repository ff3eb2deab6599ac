import { BackupError } from '@foodsave-backup/kernel';
import type { ResolvedConfig } from '@foodsave-backup/runtime';

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/i;

/** Where the server listens and under which URL it is found. Throws CONFIG_INVALID for anything but a loopback address. */
export function listenAddress({ server: { host, port } }: Pick<ResolvedConfig, 'server'>): {
  host: string;
  url: string;
} {
  if (!LOOPBACK.test(host)) {
    throw new BackupError('CONFIG_INVALID', 'HOST (server.host): only loopback addresses are allowed by this version', {
      hint:
        'The server has no login yet: whoever reaches it can read and replace your data. Use HOST=127.0.0.1, and for ' +
        'another machine an SSH tunnel: ssh -L 8000:127.0.0.1:8000 user@server',
    });
  }
  // "localhost" may mean ::1 alone; clients try 127.0.0.1 as well.
  const address = /^localhost$/i.test(host) ? '127.0.0.1' : host.replace(/^\[|\]$/g, '');
  const shown = address.includes(':') ? `[${address}]` : address;
  return { host: address, url: `http://${shown}:${port}` };
}
