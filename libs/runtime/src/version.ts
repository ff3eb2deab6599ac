import { readFileSync } from 'node:fs';

/** Version of this software, from the library's package file. */
export function softwareVersion(): string {
  const json: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return `foodsave-backup ${(json as { version: string }).version}`;
}
