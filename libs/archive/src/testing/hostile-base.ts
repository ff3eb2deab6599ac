import type { ArchiveLimits } from '../limits.ts';
import { craftedOf, type CraftedEntry } from './craft.ts';
import type { SampleEntry } from './sample.ts';

export interface HostileCase {
  format: 'zip' | 'tar.gz' | 'both';
  name: string;
  bytes: () => Buffer;
  /** Part of the message. */
  says: RegExp;
  code?: string;
  limits?: Partial<ArchiveLimits>;
}

export const text = (value: string): Buffer => Buffer.from(value, 'utf8');

export const GOOD: readonly SampleEntry[] = [
  { path: 'data' },
  { path: 'data/a.txt', content: text('hello\n') },
  { path: 'data/b.txt', content: text('world') },
  { path: 'data/link', target: 'a.txt' },
];

/** The entries of GOOD, one of them changed. */
export function changed(name: string, change: (entry: CraftedEntry) => CraftedEntry | CraftedEntry[]): CraftedEntry[] {
  return craftedOf(GOOD).flatMap((entry) => (entry.name === name ? change(entry) : entry));
}
