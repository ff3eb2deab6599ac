import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Component } from '@foodsave-backup/component';
import {
  capture,
  componentConformance,
  restoreInto,
  restoreRun,
  snapshotTree,
} from '@foodsave-backup/component/conformance';
import { systemClock } from '@foodsave-backup/kernel';
import { configDriver } from './index.ts';

let base: string;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'foodsave-config-'));
  await mkdir(join(base, 'conf'));
  await writeFile(join(base, 'conf/app.yaml'), 'db:\n  password: canary1\n  pool: 5\n');
  await writeFile(join(base, 'conf/.env'), 'LOG_LEVEL=info\nAPI_KEY=canary2\n');
});
afterEach(async () => {
  await rm(base, { recursive: true, force: true });
});

const ENV = { LOG_LEVEL: 'debug "x" $y', SMTP_PASSWORD: 'canary3', HOME: '/root' };
const open = (encrypted: boolean, more: object = {}, baseDir = base): Component =>
  configDriver.open(
    'config:main',
    { include: ['conf'], env: ['LOG_LEVEL', 'SMTP_PASSWORD', 'NOT_SET'], ...more },
    { baseDir, scratchDir: baseDir, clock: systemClock, env: ENV, encrypted },
  );

componentConformance('config', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'foodsave-config-'));
  await mkdir(join(directory, 'conf'));
  await writeFile(join(directory, 'conf/app.yaml'), 'password: x\n');
  return { component: open(false, {}, directory), cleanUp: () => rm(directory, { recursive: true, force: true }) };
});

describe('the config component', () => {
  it('captures files and the named environment variables, the same way every time', async () => {
    const { entries, facts, warnings } = await capture(open(true));
    expect(entries.map(({ path }) => path)).toEqual([
      '_environment',
      '_environment/config-main.env',
      'conf',
      'conf/.env',
      'conf/app.yaml',
    ]);
    const [directory, file] = entries;
    expect(directory?.meta).toMatchObject({ mode: 0o700, mtimeNs: 0n });
    expect(file?.meta).toMatchObject({ mode: 0o600, mtimeNs: 0n });
    expect(Buffer.from(file?.bytes ?? []).toString()).toBe('LOG_LEVEL="debug \\"x\\" \\$y"\nSMTP_PASSWORD="canary3"\n');
    expect(facts).toMatchObject({ files: 2, keys: 6, environment: ['LOG_LEVEL', 'SMTP_PASSWORD'], redacted: [] });
    expect(facts).toMatchObject({ environmentUnset: ['NOT_SET'] });
    expect(warnings).toEqual([]);
  });

  it('hides secrets in a repository without encryption, in entries, facts and warnings', async () => {
    const captured = await capture(open(false));
    for (const entry of captured.entries) expect(Buffer.from(entry.bytes).toString()).not.toMatch(/canary/);
    expect(JSON.stringify([captured.facts, captured.warnings])).not.toMatch(/canary/);
    expect(captured.facts['redacted']).toEqual([
      { path: '_environment/config-main.env', keys: ['SMTP_PASSWORD'] },
      { path: 'conf/.env', keys: ['API_KEY'] },
      { path: 'conf/app.yaml', keys: ['db.password'] },
    ]);
  });

  it('restores in place with the live values of redacted keys, and leaves the environment alone', async () => {
    const component = open(false);
    const captured = await capture(component);
    await writeFile(join(base, 'conf/app.yaml'), 'db:\n  password: newer\n  pool: 99\n');
    await rm(join(base, 'conf/.env'));
    const { plan, notes } = await restoreInto(component, captured, restoreRun({ kind: 'live' }, captured.facts));
    expect(plan).toMatchObject({ added: ['conf/.env'], replaced: ['conf/app.yaml'], deleted: [] });
    expect(await readFile(join(base, 'conf/app.yaml'), 'utf8')).toBe('db:\n  password: newer\n  pool: 5\n');
    expect(await readFile(join(base, 'conf/.env'), 'utf8')).toBe('LOG_LEVEL=info\nAPI_KEY=**REDACTED**\n');
    expect([...(await snapshotTree(base)).keys()].sort()).toEqual(['conf', 'conf/.env', 'conf/app.yaml']);
    const text = notes.join('\n');
    expect(text).toMatch(/conf\/app\.yaml: redacted in the backup, kept as live: db\.password/);
    expect(text).toMatch(/conf\/\.env: redacted in the backup and not found live, set by hand: API_KEY/);
    expect(text).toMatch(/not restored: LOG_LEVEL, SMTP_PASSWORD/);
    expect(text).not.toMatch(/canary|newer/);
  });

  it('plans no change for a file that differs only by its redaction', async () => {
    const component = open(false);
    const captured = await capture(component);
    const { plan } = await restoreInto(
      component,
      captured,
      restoreRun({ kind: 'live' }, captured.facts, { dryRun: true }),
    );
    expect(plan).toMatchObject({ counts: { added: 0, replaced: 0, deleted: 0 } });
    await restoreInto(component, captured, restoreRun({ kind: 'live' }, captured.facts));
    expect(await readFile(join(base, 'conf/app.yaml'), 'utf8')).toMatch(/canary1/);
  });

  it('names what was redacted when it restores to a target directory', async () => {
    const component = open(false);
    const captured = await capture(component);
    const { notes } = await restoreInto(
      component,
      captured,
      restoreRun({ kind: 'target', directory: join(base, 't') }, captured.facts),
    );
    expect(notes.join('\n')).toMatch(/conf\/app\.yaml: db\.password was redacted/);
    expect(await readFile(join(base, 't/_environment/config-main.env'), 'utf8')).toMatch(
      /SMTP_PASSWORD="\*\*REDACTED\*\*"/,
    );
  });

  it('refuses wrong settings by name', () => {
    expect(() => open(true, { env: ['A B'] })).toThrow(/env must be a list of names/);
    expect(() => open(true, { envs: [] })).toThrow(/envs is not a known setting/);
  });
});
