import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCalendar } from './index.ts';

describe('calendar', () => {
  it.each([
    ['2026-11-23T12:00:00Z', '2026-11-23', '2026-W48', '2026-11'],
    ['2027-01-01T12:00:00Z', '2027-01-01', '2026-W53', '2027-01'],
    ['2027-01-03T12:00:00Z', '2027-01-03', '2026-W53', '2027-01'],
    ['2027-01-04T12:00:00Z', '2027-01-04', '2027-W01', '2027-01'],
    ['2024-12-30T12:00:00Z', '2024-12-30', '2025-W01', '2024-12'],
    ['2021-01-03T12:00:00Z', '2021-01-03', '2020-W53', '2021-01'],
    ['2024-02-29T12:00:00Z', '2024-02-29', '2024-W09', '2024-02'],
  ])('%s is day %s, week %s, month %s in UTC', (iso, day, week, month) => {
    expect(createCalendar('UTC')(Date.parse(iso))).toEqual({ day, week, month });
  });

  it.each([
    // Warsaw leaves daylight saving on 2026-10-25 at 01:00Z: that day has 25 hours.
    ['Europe/Warsaw', '2026-10-24T21:59:59Z', '2026-10-24'],
    ['Europe/Warsaw', '2026-10-24T22:00:00Z', '2026-10-25'],
    ['Europe/Warsaw', '2026-10-25T22:59:59Z', '2026-10-25'],
    ['Europe/Warsaw', '2026-10-25T23:00:00Z', '2026-10-26'],
    // It enters it on 2026-03-29 at 01:00Z: 23 hours.
    ['Europe/Warsaw', '2026-03-28T23:00:00Z', '2026-03-29'],
    ['Europe/Warsaw', '2026-03-29T21:59:59Z', '2026-03-29'],
    ['Europe/Warsaw', '2026-03-29T22:00:00Z', '2026-03-30'],
    // Samoa had no 2011-12-30 at all.
    ['Pacific/Apia', '2011-12-30T09:59:59Z', '2011-12-29'],
    ['Pacific/Apia', '2011-12-30T10:00:00Z', '2011-12-31'],
    ['Asia/Kathmandu', '2026-06-30T18:15:00Z', '2026-07-01'],
  ])('in %s %s is on %s', (zone, iso, day) => {
    expect(createCalendar(zone)(Date.parse(iso)).day).toBe(day);
  });

  it('refuses a zone that does not exist', () => {
    for (const zone of ['Europe/Wroclaw', '', 'UTC; rm -rf']) {
      expect(() => createCalendar(zone)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    }
  });

  it('changes the week exactly between Sunday and Monday', () => {
    const periods = createCalendar('UTC');
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 60_000 }), (day) => {
        const noon = (n: number): number => n * 86_400_000 + 43_200_000;
        const monday = new Date(noon(day + 1)).getUTCDay() === 1;
        expect(periods(noon(day)).week !== periods(noon(day + 1)).week).toBe(monday);
        expect(periods(noon(day)).week < periods(noon(day + 1)).week).toBe(monday);
      }),
    );
  });
});
