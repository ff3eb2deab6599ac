import type { RestoreResult } from '@foodsave-backup/contracts/types';
import type { RestoreChoice } from '../api/endpoints.ts';

export const STEPS = ['components', 'target', 'preview', 'confirm'] as const;
export type Step = (typeof STEPS)[number];

export interface Wizard {
  step: Step;
  /** Instances that stay as they are. */
  left: readonly string[];
  target: 'folder' | 'live';
  folder: string;
}

/** The harmless target comes first: who presses on without reading touches nothing that is alive. */
export function begin(name: string): Wizard {
  return { step: 'components', left: [], target: 'folder', folder: `restored/${name}` };
}

export function chosenOf(instances: readonly string[], left: readonly string[]): string[] {
  return instances.filter((instance) => !left.includes(instance));
}

/** Why one cannot go on from this step; `undefined` when one can. */
export function obstacle(wizard: Wizard, instances: readonly string[]): 'nothing' | 'noFolder' | undefined {
  if (chosenOf(instances, wizard.left).length === 0) return 'nothing';
  if (wizard.step !== 'components' && wizard.target === 'folder' && wizard.folder.trim() === '') return 'noFolder';
  return undefined;
}

/** What the server is asked for. */
export function choiceOf(wizard: Wizard, instances: readonly string[]): RestoreChoice {
  return {
    components: chosenOf(instances, wizard.left),
    ...(wizard.target === 'folder' ? { target: wizard.folder.trim() } : {}),
  };
}

export interface PreviewRow {
  instance: string;
  added: number;
  replaced: number;
  deleted: number;
  unchanged: number;
  bytes: number;
  paths: { added: readonly string[]; replaced: readonly string[]; deleted: readonly string[] };
}

/** What a dry run says, by component. In a new folder everything is added. */
export function previewRows({ plan, components }: RestoreResult): PreviewRow[] {
  if (plan !== undefined) {
    return Object.entries(plan).map(([instance, { added, replaced, deleted, counts, bytes }]) => ({
      instance,
      added: counts.added,
      replaced: counts.replaced,
      deleted: counts.deleted,
      unchanged: counts.unchanged,
      bytes,
      paths: { added, replaced, deleted },
    }));
  }
  return Object.entries(components).map(([instance, { files, bytes }]) => ({
    ...{ instance, added: files, replaced: 0, deleted: 0, unchanged: 0, bytes },
    paths: { added: [], replaced: [], deleted: [] },
  }));
}
