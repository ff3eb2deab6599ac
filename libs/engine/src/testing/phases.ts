import { FOLDERS } from '@foodsave-backup/repository';
import type { Command } from '../types.ts';

/** What a command does just now: the call that it is about to make, and what its engine told last. */
interface Now {
  /** Node's name of the call. */
  name: string;
  /** Below the application's directory. */
  path: string;
  writes: boolean;
  /** Type of the last event, or phase of the last progress. */
  told: string;
}

interface Phase {
  name: string;
  /** Whether this phase, or a later one, has begun. The first one needs no such test. */
  begins: (now: Now) => boolean;
  /** Later phases are not looked for before this one has begun: what is settled first looks like them. */
  gate?: true;
  /** Comes again: packs are emptied in batches. */
  loops?: true;
}

const start = (name: string): Phase => ({ name, begins: () => true });
const inPacks = ({ path }: Now): boolean => FOLDERS.some((folder) => path.startsWith(`backups/${folder}`));
const inScratch = ({ path }: Now): boolean => path.startsWith('state/scratch');
const writesBelow =
  (directory: string) =>
  ({ path, writes }: Now): boolean =>
    writes && `${path}/`.startsWith(`${directory}/`);
const writesTopManifest = ({ path, name }: Now): boolean => name === 'create' && path.startsWith('backups/.tmp-');
const removesManifest = ({ path, name }: Now): boolean => name === 'unlink' && /^backups\/[^/]+\.json$/.test(path);
const isStage = ({ path }: Now): boolean => path.includes('/.foodsave-backup-');
const isRecord = ({ path, writes }: Now): boolean => writes && path.startsWith('state/unfinished-restore');
const RELEASE: Phase = {
  name: 'release',
  begins: (now) =>
    (now.name === 'rm' && inScratch(now)) || (now.name === 'unlink' && now.path.startsWith('backups/locks/')),
};
const puts = ({ name }: Now): boolean => name === 'create' || name === 'mkdir';

const CREATE: readonly Phase[] = [
  start('lease'),
  { name: 'capture', begins: inScratch, gate: true },
  { name: 'read back', begins: ({ told }) => told === 'verify' },
  { name: 'index', begins: writesBelow('backups/index') },
  { name: 'publish', begins: writesTopManifest, gate: true },
  { name: 'second look', begins: ({ path, writes }) => !writes && path.startsWith('backups/notes'), gate: true },
  { name: 'confirm', begins: writesBelow('backups/manifests') },
  RELEASE,
];
const TO_TARGET: readonly Phase[] = [
  start('lease'),
  { name: 'write', begins: inScratch, gate: true },
  { name: 'finish', begins: ({ told }) => told === 'component.finished' },
];
const TO_LIVE: readonly Phase[] = [
  start('lease'),
  { name: 'plan', begins: inScratch, gate: true },
  { name: 'safety backup', begins: writesBelow('backups'), gate: true },
  { name: 'stage', begins: (now) => now.writes && isStage(now), gate: true },
  { name: 'journal', begins: ({ name, path }) => name === 'create' && path.endsWith('/journal.jsonl'), gate: true },
  { name: 'decide', begins: isRecord, gate: true },
  { name: 'swap', begins: (now) => now.writes && /^data\b/.test(now.path), gate: true },
  { name: 'commit', begins: isRecord, gate: true },
  { name: 'finish', begins: (now) => now.name === 'rm' && isStage(now) },
];
const CLEANUP: readonly Phase[] = [
  start('lease'),
  { name: 'plan', begins: ({ told }) => told === 'plan', gate: true },
  { name: 'delete manifests', begins: ({ name, path }) => name === 'unlink' && path.startsWith('backups/manifests/') },
  { name: 'mark', begins: ({ told }) => told === 'prune', gate: true },
  { name: 'condemn', begins: (now) => puts(now) && now.path.startsWith('backups/notes'), gate: true, loops: true },
  { name: 'copy out', begins: (now) => puts(now) && inPacks(now), loops: true },
  { name: 'index', begins: (now) => puts(now) && now.path.startsWith('backups/index'), loops: true },
  { name: 'delete packs', begins: (now) => now.name === 'unlink' && inPacks(now), loops: true },
  RELEASE,
];
/** Its prune is that of a cleanup, and one phase here. */
const DELETE: readonly Phase[] = [
  start('lease'),
  { name: 'second copy', begins: writesBelow('backups/manifests') },
  { name: 'first copy', begins: removesManifest, gate: true },
  { name: 'prune', begins: ({ name, path }) => name === 'readdir' && path === 'backups/manifests/', gate: true },
  RELEASE,
];

/** The phases of the commands that are killed, in their order. */
export const PHASES = {
  create: CREATE,
  'restore to a directory': TO_TARGET,
  'restore into the live application': TO_LIVE,
  cleanup: CLEANUP,
  delete: DELETE,
} as const satisfies Record<string, readonly Phase[]>;

export type Killed = keyof typeof PHASES;

function kindOf(command: Command): Killed {
  switch (command.command) {
    case 'restore':
      return command.target === undefined ? 'restore into the live application' : 'restore to a directory';
    case 'create':
    case 'cleanup':
    case 'delete':
      return command.command;
    default:
      throw new Error(`No phases are known of ${command.command}`);
  }
}

/** Tells in which phase of a command each of its calls is, by what it touches and not by the time. */
export class PhaseTracker {
  readonly #phases: readonly Phase[];
  #at = 0;
  #told = '';

  constructor(command: Command) {
    this.#phases = PHASES[kindOf(command)];
  }

  /** An event's type, or a phase that the engine tells of its progress. */
  hear(told: string): void {
    this.#told = told;
  }

  ofCall(call: Omit<Now, 'told'>): string {
    const now = { ...call, told: this.#told };
    const again = this.#phases[this.#at]?.loops === true ? this.#phases.findIndex((p) => p.loops && p.begins(now)) : -1;
    if (again >= 0) this.#at = again;
    for (let next = this.#at + 1; next < this.#phases.length; next++) {
      const phase = this.#phases[next];
      if (phase?.begins(now) === true) this.#at = next;
      else if (phase?.gate === true) break;
    }
    return this.#phases[this.#at]?.name ?? '';
  }
}
