import type { KeyListView, LeaseView, UnlockResult } from '@foodsave-backup/engine';
import type { Style } from './style.ts';
import { indent, paragraphs, table } from './table.ts';
import { count, visible } from './text.ts';
import { formatWhen } from './units.ts';

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
