import type { KeyListView, LeaseView, RepairResult, UnlockResult } from '@foodsave-backup/engine';
import { affectedText } from './results.ts';
import type { Style } from './style.ts';
import { indent, paragraphs, table } from './table.ts';
import { count, visible } from './text.ts';
import { formatBytes, formatWhen } from './units.ts';

/** `key list`. `now`: ms since the epoch. */
export function keysText(view: KeyListView, now: number, style: Style): string {
  if (!view.encrypted) return 'The repository is not encrypted: it has no keys.';
  const columns = [{ title: 'Id' }, { title: 'Label' }, { title: 'Added' }, { title: 'State' }];
  const rows = view.keys.map((key) => [
    visible(key.id),
    visible(key.label),
    key.createdAt === '' ? '' : formatWhen(key.createdAt, now),
    key.damaged !== undefined
      ? style.red(`✗ damaged: ${visible(key.damaged)}`)
      : key.opens
        ? style.green('✓ in use')
        : 'another secret',
  ]);
  return table(columns, rows, style);
}

const STATES: Readonly<Record<LeaseView['state'], string>> = {
  alive: 'running here',
  elsewhere: 'not visible from here',
  dead: 'its process has ended',
  expired: 'expired',
  malformed: 'not readable',
};

export function leasesText(leases: readonly LeaseView[], now: number, style: Style): string {
  const columns = ['For', 'Process', 'Host', 'Since', 'State'].map((title) => ({ title }));
  const rows = leases.map((lease) => [
    visible(lease.purpose),
    lease.pid === 0 ? '' : String(lease.pid),
    visible(lease.host),
    Number.isNaN(Date.parse(lease.createdAt)) ? '' : formatWhen(lease.createdAt, now),
    STATES[lease.state],
  ]);
  return table(columns, rows, style);
}

/** `unlock`: what is gone and what stays. */
export function unlockText({ removed, kept }: UnlockResult, now: number, style: Style): string {
  if (removed.length + kept.length === 0) return 'Nobody holds the repository.';
  const listed = (title: string, leases: readonly LeaseView[]): string | undefined =>
    leases.length === 0 ? undefined : `${title}\n${indent(leasesText(leases, now, style))}`;
  const foreign = kept.some(({ state }) => state === 'elsewhere');
  return paragraphs(
    listed(`Removed ${count(removed.length, 'lock')}:`, removed),
    listed(`${count(kept.length, 'lock')} in use:`, kept),
    foreign
      ? 'Those not visible from here go by themselves ten minutes after their last sign of life, or with --force.'
      : undefined,
  );
}

type Verb = RepairResult['actions'][number]['did'];

const DONE: Readonly<Record<Verb, readonly [done: string, would: string]>> = {
  rewritten: ['Written again', 'Would write again'],
  quarantined: ['Moved to quarantine', 'Would move to quarantine'],
  moved: ['Moved to its folder', 'Would move to its folder'],
  forgotten: ['Forgotten by the index', 'Would be forgotten by the index'],
  rebuilt: ['Index made anew', 'Would make the index anew'],
  left: ['Could not be mended', 'Cannot be mended'],
};

/** `repair`: what was done, and what is lost all the same. */
export function repairText(result: RepairResult, style: Style): string {
  const { actions, dryRun, salvagedBlobs, salvagedBytes, affected } = result;
  const listed = (Object.keys(DONE) as Verb[]).map((verb) => {
    const rows = actions.filter(({ did }) => did === verb);
    if (rows.length === 0) return undefined;
    const title = `${DONE[verb][dryRun ? 1 : 0]} (${count(rows.length, 'object')}):`;
    const lines = rows.map(({ what, reason, to }) => {
      const where = to === undefined ? '' : `\n    ${style.dim(`→ ${visible(to)}`)}`;
      return `  ${visible(what)}: ${visible(reason)}${where}`;
    });
    return `${verb === 'left' ? style.red(title) : title}\n${lines.join('\n')}`;
  });
  const saved =
    salvagedBlobs === 0
      ? undefined
      : `${dryRun ? 'Would save' : 'Saved'} ${count(salvagedBlobs, 'blob')} (${formatBytes(salvagedBytes)}) of damaged packs.`;
  const next =
    affected.fileCount === 0
      ? undefined
      : 'The next backup stores again what the source still has. docs/troubleshooting.md says what else there is to do.';
  return paragraphs(
    actions.length === 0 ? style.green('✓ Nothing had to be repaired.') : undefined,
    ...listed,
    saved,
    affectedText(affected, style),
    next,
  );
}
