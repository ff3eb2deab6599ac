import { ENVIRONMENT_DIRECTORY, type DumpEntry, type StreamContent } from '@foodsave-backup/component';

/** The file that holds the variables of one instance: `_environment/config-main.env`. */
export function environmentPath(instance: string): string {
  return `${ENVIRONMENT_DIRECTORY}/${instance.replaceAll(':', '-')}.env`;
}

/** Lines `NAME="value"`, quoted so that a POSIX shell and dotenv read them back. Sorted by name. */
export function environmentFile(
  names: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): { text: string; found: string[] } {
  const found = [...new Set(names)].filter((name) => env[name] !== undefined).sort();
  const text = found
    .map((name) => `${name}="${(env[name] ?? '').replace(/[\\"$`]/g, '\\$&').replaceAll('\n', '\\n')}"\n`)
    .join('');
  return { text, found };
}

/** The entries for it. Their times never change, so that equal values make equal backups. */
export function environmentEntries(instance: string, bytes: Uint8Array): DumpEntry[] {
  const meta = { mode: 0o600, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, mtimeNs: 0n };
  return [
    { path: ENVIRONMENT_DIRECTORY, kind: 'directory', meta: { ...meta, mode: 0o700 }, size: 0 },
    { path: environmentPath(instance), kind: 'file', meta, size: bytes.length, content: inMemory(bytes) },
  ];
}

export function inMemory(bytes: Uint8Array): StreamContent {
  return {
    kind: 'stream',
    async *open() {
      for (let at = 0; at < bytes.length; at += 1024 * 1024)
        yield await Promise.resolve(bytes.subarray(at, at + 1024 * 1024));
    },
  };
}
