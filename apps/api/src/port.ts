import { BackupError, systemErrorCode } from '@foodsave-backup/kernel';
import type { ResolvedConfig } from '@foodsave-backup/runtime';

/** Why the server cannot listen, and what to do. */
export function portProblem(error: unknown, { server: { host, port } }: Pick<ResolvedConfig, 'server'>): BackupError {
  const other = port === 65_535 ? 8001 : port + 1;
  switch (systemErrorCode(error)) {
    case 'EADDRINUSE':
      return new BackupError('PORT_IN_USE', `Port ${port} is in use by another program`, {
        hint: `Choose another one: PORT=${other} npm start`,
        cause: error,
      });
    case 'EACCES':
      return new BackupError('CONFIG_INVALID', `Port ${port} may only be used by root`, {
        hint: 'Choose one above 1023: PORT=8000 npm start',
        cause: error,
      });
    case 'EADDRNOTAVAIL':
      return new BackupError('CONFIG_INVALID', `This machine has no address ${host}`, {
        hint: 'Use HOST=127.0.0.1',
        cause: error,
      });
    default:
      return new BackupError('IO_ERROR', `The server cannot listen on port ${port}`, { cause: error });
  }
}
