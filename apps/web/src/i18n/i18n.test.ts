import { describe, expect, it } from 'vitest';
import { en } from './en.ts';
import { createI18n, pickLocale } from './i18n.ts';
import { pl } from './pl.ts';

const plain = (text: string): string => text.replaceAll(/[\u00a0\u202f]/g, ' ');
const HOUR = 3_600_000;

describe('plural forms', () => {
  it.each([
    [1, '1 kopia'],
    [3, '3 kopie'],
    [5, '5 kopii'],
    [12, '12 kopii'],
    [22, '22 kopie'],
    [0, '0 kopii'],
  ])('Polish: %i', (count, text) => {
    expect(createI18n('pl').plural('backupsCount', count)).toBe(text);
  });

  it('English', () => {
    const { plural } = createI18n('en');
    expect(plural('backupsCount', 1)).toBe('1 backup');
    expect(plural('backupsCount', 1200)).toBe('1,200 backups');
  });
});

describe('catalogues', () => {
  const parameters = (text: string): string[] => (text.match(/\{\{\w+\}\}/g) ?? []).sort();
  const base = (key: string): string => key.replace(/_(one|few|many|other)$/, '');

  it('have the same messages, none of them empty', () => {
    const keys = (catalogue: object): string[] => [...new Set(Object.keys(catalogue).map(base))].sort();
    expect(keys(pl)).toEqual(keys(en));
    expect([...Object.values(en), ...Object.values(pl)].filter((text) => text.trim() === '')).toEqual([]);
  });

  it('take the same parameters in both languages', () => {
    const english = new Map(Object.entries(en).map(([key, text]) => [base(key), parameters(text)]));
    for (const [key, text] of Object.entries(pl))
      expect([key, parameters(text)]).toEqual([key, english.get(base(key))]);
  });

  it('leave no parameter unfilled', () => {
    expect(createI18n('pl').t('runStopTitle')).toBe('Zatrzymać ten przebieg?');
    expect(createI18n('en').t('cleanupButton', { count: 14 })).toBe('Delete 14');
  });
});

describe('figures', () => {
  it.each([
    [0, '0 B', '0 B'],
    [999, '999 B', '999 B'],
    [1000, '1 kB', '1 kB'],
    [999_499, '999 kB', '999 kB'],
    [999_500, '1 MB', '1 MB'],
    [1_800_000_000, '1.8 GB', '1,8 GB'],
    [276_258_702, '276 MB', '276 MB'],
    [3e15, '3 PB', '3 PB'],
  ])('%i bytes', (value, english, polish) => {
    expect(plain(createI18n('en').bytes(value))).toBe(english);
    expect(plain(createI18n('pl').bytes(value))).toBe(polish);
  });

  it('never rounds a percentage up: 100 is kept for the end', () => {
    expect(createI18n('en').percent(0.999)).toBe('99%');
    expect(createI18n('en').percent(1)).toBe('100%');
  });

  it.each([
    [420, '0.4s', '0,4 sek.'],
    [41_000, '41s', '41 sek.'],
    [125_000, '2m 5s', '2 min 5 sek.'],
    [9 * HOUR, '9h', '9 godz.'],
    [50 * HOUR, '2d 2h', '2 dni 2 godz.'],
  ])('%i ms', (ms, english, polish) => {
    expect(plain(createI18n('en').duration(ms))).toBe(english);
    expect(plain(createI18n('pl').duration(ms))).toBe(polish);
  });

  it('says how long ago', () => {
    const now = 1_800_000_000_000;
    expect(createI18n('en').relative(now - 3 * HOUR, now)).toBe('3 hours ago');
    expect(createI18n('pl').relative(now - 3 * HOUR, now)).toBe('3 godziny temu');
    expect(createI18n('en').relative(now - 90_000, now)).toBe('1 minute ago');
    expect(createI18n('en').relative(now + 2000, now)).toBe('now');
  });
});

describe('the language at first', () => {
  it('is the first of the reader that there is', () => {
    expect(pickLocale(['de-DE', 'pl-PL', 'en'])).toBe('pl');
    expect(pickLocale(['en-GB', 'pl'])).toBe('en');
    expect(pickLocale(['fr'])).toBe('en');
  });
});
