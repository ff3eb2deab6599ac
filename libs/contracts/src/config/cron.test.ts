import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cronProblem } from './cron.ts';

describe('cron expressions', () => {
  it.each([
    '0 2 * * *',
    '0 3 * * 0',
    '*/15 * * * *',
    '0 5 1 * *',
    '0 0 29 2 *',
    '0 0 31 2,3 *',
    '30 1-5/2,20 1,15 jan-MAR mon-fri',
    '0 0 * * 7',
    '  0   2 * * *  ',
    // Either day fits, so that it does run: on Mondays.
    '0 0 30 2 mon',
  ])('accepts %s', (expression) => {
    expect(cronProblem(expression)).toBeUndefined();
  });

  it.each([
    ['', 'five fields'],
    ['0 2 * *', 'five fields'],
    ['0 0 2 * * *', 'five fields'],
    ['@daily', 'five fields'],
    ['60 2 * * *', 'minute'],
    ['0 24 * * *', 'hour'],
    ['0 2 0 * *', 'day of month'],
    ['0 2 32 * *', 'day of month'],
    ['0 2 * 13 *', 'month'],
    ['0 2 * foo *', 'month'],
    ['0 2 * * 8', 'day of week'],
    ['0 2 * * 5-1', 'day of week'],
    ['*/0 2 * * *', 'minute'],
    ['5/10 2 * * *', 'minute'],
    ['1,,2 2 * * *', 'minute'],
    ['-1 2 * * *', 'minute'],
    ['0 0 30 2 *', 'never run'],
    ['0 0 31 4,6,9,11 *', 'never run'],
    ['0 '.repeat(200), 'longer'],
  ])('refuses %j: %s', (expression, reason) => {
    expect(cronProblem(expression)).toContain(reason);
  });

  it('accepts every combination of numbers in range', () => {
    const field = (min: number, max: number): fc.Arbitrary<string> =>
      fc.oneof(
        fc.constant('*'),
        fc.integer({ min, max }).map(String),
        fc.tuple(fc.integer({ min, max }), fc.integer({ min, max })).map(([a, b]) => {
          return `${String(Math.min(a, b))}-${String(Math.max(a, b))}`;
        }),
        fc.integer({ min: 1, max: 59 }).map((step) => `*/${String(step)}`),
      );
    const expression = fc.tuple(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 7));
    fc.assert(fc.property(expression, (fields) => cronProblem(fields.join(' ')) === undefined));
  });

  it('answers for any text, and never quotes it', () => {
    const text = fc.string({ maxLength: 40 }).map((s) => `CANARY${s}`);
    fc.assert(fc.property(text, (value) => cronProblem(value)?.includes('CANARY') === false));
  });
});
