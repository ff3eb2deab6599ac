import type { BackupComponentView, BackupPage, BackupView } from '@foodsave-backup/engine';
import { errorText } from './error.ts';
import type { Style } from './style.ts';
import { statusText, verificationLine, verificationWords } from './status.ts';
import { facts, indent, paragraphs, table } from './table.ts';
import { count, grouped, visible } from './text.ts';
import { formatAge, formatBytes, formatDuration, formatWhen, shortIso } from './units.ts';

/** `list`: one line a backup. `now`: ms since the epoch. */
export function listText(page: BackupPage, now: number, style: Style): string {
  if (page.items.length === 0) {
    return page.total === 0 ? 'No backups.' : `No more backups (${String(page.total)} in all).`;
  }
  const columns = [
    { title: 'Name' },
    { title: 'Status' },
    { title: 'Age', align: 'right' as const },
    { title: 'Created' },
    { title: 'Size', align: 'right' as const },
    { title: 'Stored', align: 'right' as const },
    { title: 'Components' },
    { title: 'Verification' },
    { title: 'Tags' },
  ];
  const rows = page.items.map((backup) => [
    style.bold(visible(backup.name)),
    statusText(backup.status, style),
    known(backup) ? formatAge(backup.createdAt, now) : 'unknown',
    known(backup) ? shortIso(backup.createdAt) : 'unknown',
    formatBytes(backup.sizeBytes),
    formatBytes(backup.storedBytes),
    componentsText(backup),
    verificationWords(backup.verification, style),
    tagsText(backup),
  ]);
  const more = page.nextCursor === undefined ? undefined : `More: --cursor ${page.nextCursor}`;
  const total = `${String(page.items.length)} of ${count(page.total, 'backup')}.`;
  return paragraphs(table(columns, rows, style), more === undefined ? total : `${total} ${more}`);
}

/** Of a backup whose manifest cannot be read, not even the time is known. */
function known(backup: BackupView): boolean {
  return backup.id !== '';
}

function componentsText(backup: BackupView): string {
  return Object.entries(backup.components)
    .map(([instance, c]) => visible(c.status === 'complete' ? instance : `${instance}(${c.status})`))
    .join(',');
}

function tagsText(backup: BackupView): string {
  return backup.tags.map(visible).join(',');
}

/** What `create` has made. */
export function createdText(backup: BackupView, now: number, style: Style): string {
  const headline = `${statusText(backup.status, style)}  ${style.bold(visible(backup.name))}`;
  const summary = [
    `${formatBytes(backup.sizeBytes)} in ${formatDuration(backup.durationMs)}`,
    `${formatBytes(backup.storedBytes)} new in the repository`,
    verificationWords(backup.verification, style),
  ];
  return paragraphs(headline, indent(componentsTable(backup, now, style)), summary.join(' · '));
}

/** `show`: everything. */
export function backupText(backup: BackupView, now: number, style: Style): string {
  const head = facts(
    [
      ['Name', style.bold(visible(backup.name))],
      ['Id', backup.id === '' ? undefined : backup.id],
      ['Status', statusText(backup.status, style)],
      ['Created', known(backup) ? formatWhen(backup.createdAt, now) : 'unknown'],
      [
        'Finished',
        known(backup) ? `${shortIso(backup.finishedAt)}, after ${formatDuration(backup.durationMs)}` : undefined,
      ],
      ['Started by', visible(backup.trigger)],
      ['Tags', backup.tags.length === 0 ? undefined : tagsText(backup)],
      ['Size', formatBytes(backup.sizeBytes)],
      ['Stored', `${formatBytes(backup.storedBytes)} new with this backup`],
      ['Verification', verificationLine(backup.verification, now, style)],
      ['Held', backup.hold ? heldText(backup) : undefined],
      ['Kept as', backup.tiers.length === 0 ? undefined : backup.tiers.join(', ')],
    ],
    style,
  );
  const factsOfComponents = Object.entries(backup.components)
    .filter(([, component]) => Object.keys(component.facts).some((key) => !IN_TABLE.has(key)))
    .map(([instance, component]) => `${style.bold(visible(instance))}\n${indent(factsText(component, style))}`);
  const failure = backup.error === undefined ? undefined : errorOf(backup.error, style);
  const components = Object.keys(backup.components).length === 0 ? undefined : componentsTable(backup, now, style);
  return paragraphs(head, components, ...factsOfComponents, failure);
}

function heldText({ holdReason }: BackupView): string {
  return holdReason === undefined ? 'yes' : `yes: ${visible(holdReason)}`;
}

function componentsTable(backup: BackupView, now: number, style: Style): string {
  const columns = [
    { title: 'Component' },
    { title: 'Status' },
    { title: 'Files', align: 'right' as const },
    { title: 'Size', align: 'right' as const },
    { title: 'Stored', align: 'right' as const },
    { title: 'Captured' },
  ];
  const rows = Object.entries(backup.components).map(([instance, c]) => [
    visible(instance),
    statusText(c.status, style),
    grouped(c.files),
    formatBytes(c.sizeBytes),
    formatBytes(c.storedBytes),
    c.capturedAt === undefined ? '–' : formatWhen(c.capturedAt, now),
  ]);
  return table(columns, rows, style);
}

/** Facts that the table of the components shows already. */
const IN_TABLE = new Set(['capturedAt']);

function factsText(component: BackupComponentView, style: Style): string {
  const pairs = Object.entries(component.facts)
    .filter(([key]) => !IN_TABLE.has(key))
    .map(([key, value]) => [visible(key), factText(value)] as const);
  return facts(pairs, style);
}

const FACT_ITEMS = 20;

function factText(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) && value >= 0 ? grouped(value) : String(value);
  if (typeof value === 'string') return visible(value);
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value)) return shownOf(value.map(factText));
  if (typeof value === 'object' && value !== null) {
    const { name, ...rest } = value as Record<string, unknown>;
    const others = shownOf(
      Object.entries(typeof name === 'string' ? rest : value).map(
        ([key, inner]) => `${visible(key)} ${factText(inner)}`,
      ),
    );
    return typeof name === 'string' ? `${visible(name)} (${others})` : others;
  }
  return 'none';
}

function shownOf(items: readonly string[]): string {
  if (items.length === 0) return 'none';
  const rest = items.length - FACT_ITEMS;
  return items.slice(0, FACT_ITEMS).join(', ') + (rest > 0 ? `, and ${String(rest)} more` : '');
}

function errorOf(error: NonNullable<BackupView['error']>, style: Style): string {
  return errorText({ ...error, code: error.code as Parameters<typeof errorText>[0]['code'] }, style);
}
