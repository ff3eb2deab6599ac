import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { differences } from '../tools/scripts/lib/session.mjs';

describe('the README', () => {
  it('shows what create, list, verify and restore print', () => {
    const script = new URL('../tools/scripts/readme.mjs', import.meta.url).pathname;
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
    expect({ status, stdout, stderr }).toMatchObject({ status: 0, stdout: '' });
  });

  it.each([
    ['a word', '✓ complete  one', '✓ partial  one'],
    ['a count', '110 files, 4.8 MB', '90 files, 4.8 MB'],
    ['a line', 'one\ntwo', 'one'],
  ])('is compared in earnest: %s that differs is found', (_what, a, b) => {
    expect(differences(a, b)).not.toEqual([]);
  });

  it('is compared without times', () => {
    expect(differences('4.8 MB in 1.1 s (2026-11-23T06:17:38Z)', '4.8 MB in 900 ms (2027-01-01T00:00:00Z)')).toEqual(
      [],
    );
  });
});
