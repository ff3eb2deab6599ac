import type { HealthView, StatsView } from '@foodsave-backup/engine';
import { hintText } from './error.ts';
import { statusText } from './status.ts';
import type { Style } from './style.ts';
import { facts, paragraphs, table } from './table.ts';
import { count, grouped, visible, visibleLines } from './text.ts';
import { formatBytes, formatWhen, shortIso } from './units.ts';

const right = (title: string): { title: string; align: 'right' } => ({ title, align: 'right' });

const GROWTH_SHOWN = 10;

/** `stats`. `now`: ms since the epoch. */
export function statsText(stats: StatsView, now: number, style: Style): string {
  const others = [
    stats.partial === 0 ? undefined : style.yellow(`${grouped(stats.partial)} partial`),
    stats.damaged === 0 ? undefined : style.red(`${grouped(stats.damaged)} damaged`),
  ].filter((part) => part !== undefined);
  const head = facts(
    [
      ['Backups', [`${grouped(stats.backups)}, ${grouped(stats.complete)} complete`, ...others].join(', ')],
      ['All together', `${formatBytes(stats.logicalBytes)} when restored`],
      ['Stored', `${formatBytes(stats.storedBytes)} in ${count(stats.packs, 'pack')}`],
      ['Ratio', stats.storedBytes === 0 ? undefined : `${String(stats.dedupRatio)} : 1`],
      ['Newest', stats.newest === undefined ? undefined : formatWhen(stats.newest, now)],
      ['Oldest', stats.oldest === undefined ? undefined : formatWhen(stats.oldest, now)],
    ],
    style,
  );
  const components = Object.entries(stats.byComponent).map(([instance, c]) => [
    visible(instance),
    grouped(c.backups),
    formatBytes(c.sizeBytes),
    formatBytes(c.storedBytes),
  ]);
  const growth = stats.growth
    .slice(-GROWTH_SHOWN)
    .map((g) => [shortIso(g.at), visible(g.name), formatBytes(g.sizeBytes), `+${formatBytes(g.storedBytes)}`]);
  return paragraphs(
    head,
    components.length === 0
      ? undefined
      : table([{ title: 'Component' }, right('Backups'), right('Size'), right('Stored')], components, style),
    growth.length === 0
      ? undefined
      : table([{ title: 'Created' }, { title: 'Backup' }, right('Size'), right('Stored')], growth, style),
  );
}

/** `health`. */
export function healthText(health: HealthView, style: Style): string {
  const rows = Object.entries(health.indicators).map(([name, indicator]) => [
    visible(name),
    statusText(indicator.status, style),
    visible(indicator.message),
  ]);
  const hints = Object.entries(health.indicators).flatMap(([name, { hint }]) =>
    typeof hint === 'string' ? [hintText(`${name}: ${visibleLines(hint)}`)] : [],
  );
  return paragraphs(
    statusText(health.status, style),
    table([{ title: 'What' }, { title: 'Status' }, { title: 'Message' }], rows, style),
    hints.join('\n'),
  );
}

/** The shape of @nestjs/terminus, as REST answers it. */
export function healthBody(
  health: HealthView,
): Record<'info' | 'error' | 'details', HealthView['indicators']> & { status: string } {
  const all = Object.entries(health.indicators);
  return {
    status: health.status,
    info: Object.fromEntries(all.filter(([, { status }]) => status === 'up')),
    error: Object.fromEntries(all.filter(([, { status }]) => status === 'down')),
    details: health.indicators,
  };
}
