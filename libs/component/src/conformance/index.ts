import { createHash } from 'node:crypto';
import { lstat, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@foodsave-backup/kernel';
import { afterEach, describe, expect, it } from 'vitest';
import { assertLayoutPath, compareLayoutPaths, decodeName, fsPath } from '../names.ts';
import { SourceMoved } from '../moved.ts';
import type {
  Component,
  ComponentFacts,
  ComponentWarning,
  DumpEntry,
  DumpRun,
  RestoreEntry,
  RestoreRun,
} from '../port.ts';

/** What a driver brings to the suite. */
export interface ComponentFixture {
  component: Component;
  /** Empties what the fixture made. */
  cleanUp(): Promise<void>;
  /**
   * Compares a restored target directory with the source beyond what the suite does itself (which compares entry by entry
   * with what was dumped); for a database: opens it. Throws when they differ.
   */
  verifyTarget?(directory: string): Promise<void>;
}

/** An entry of a dump with its content in memory. */
export interface CapturedEntry extends Omit<DumpEntry, 'content'> {
  bytes: Uint8Array;
  changed: boolean;
}

export interface Captured {
  entries: CapturedEntry[];
  facts: ComponentFacts;
  warnings: ComponentWarning[];
}

/** What a dump finds of the newest backup, and how often it was tried. */
export type CaptureRun = Partial<Pick<DumpRun, 'previous' | 'previousFacts' | 'attempt'>>;

/** Dumps a component as the engine does: each content is consumed before the next entry is asked for. */
export async function capture(
  component: Component,
  signal: AbortSignal = new AbortController().signal,
  run: CaptureRun = {},
): Promise<Captured> {
  const { attempt = 1 } = run;
  try {
    return await captureOnce(component, signal, { ...run, attempt });
  } catch (error) {
    if (!(error instanceof SourceMoved) || attempt !== 1) throw error;
    return captureOnce(component, signal, { ...run, attempt: 2 });
  }
}

async function captureOnce(component: Component, signal: AbortSignal, run: CaptureRun): Promise<Captured> {
  const warnings: ComponentWarning[] = [];
  const dump = await component.openDump({
    signal,
    warn: (warning) => warnings.push(warning),
    previous: () => undefined,
    ...run,
  });
  try {
    const entries: CapturedEntry[] = [];
    for await (const { content, ...entry } of dump.entries()) {
      const pieces: Uint8Array[] = [];
      let changed = false;
      if (content?.kind === 'stream') {
        for await (const piece of content.open()) pieces.push(Buffer.from(piece));
        changed = (await content.finish?.())?.changed === true;
      } else if (content) {
        const step = Math.max(1, Math.floor((1024 * 1024) / content.pageSize));
        for (let at = 0; at < content.pageCount; at += step)
          pieces.push(Buffer.from(await content.read(at, Math.min(step, content.pageCount - at))));
      }
      entries.push({ ...entry, bytes: Buffer.concat(pieces), changed });
    }
    return { entries, facts: await dump.facts(), warnings };
  } finally {
    await dump.close();
  }
}

/** What a backup would give back for a captured entry. */
export function toRestoreEntry(entry: CapturedEntry): RestoreEntry {
  const base: RestoreEntry = {
    path: entry.path,
    kind: entry.kind,
    meta: entry.meta,
    size: entry.kind === 'file' ? entry.bytes.length : entry.size,
  };
  if (entry.linkTarget !== undefined) base.linkTarget = entry.linkTarget;
  if (entry.kind === 'file') {
    base.sha256 = createHash('sha256').update(entry.bytes).digest();
    base.content = async function* () {
      yield await Promise.resolve(entry.bytes);
    };
  }
  return base;
}

export function restoreRun(
  destination: RestoreRun['destination'],
  facts: ComponentFacts,
  more: Partial<RestoreRun> = {},
): RestoreRun {
  return { signal: new AbortController().signal, warn: () => undefined, destination, facts, dryRun: false, ...more };
}

/** Restores captured entries as the engine does. Live: with a plan first, whose result is returned. */
export async function restoreInto(
  component: Component,
  captured: Captured,
  run: RestoreRun,
): Promise<{ plan: unknown; notes: string[] }> {
  const sink = await component.openRestore(run);
  try {
    let plan: unknown;
    if (run.destination.kind === 'live') {
      plan = await sink.plan(
        (async function* () {
          for (const entry of captured.entries) {
            const { content: _content, ...rest } = toRestoreEntry(entry);
            yield await Promise.resolve(rest);
          }
        })(),
      );
    }
    if (run.dryRun) return { plan, notes: [] };
    for (const entry of captured.entries) await sink.write(toRestoreEntry(entry));
    const { notes } = await sink.commit();
    return { plan, notes };
  } finally {
    await sink.close();
  }
}

/** Everything below a directory: layout path → kind, mode, and content or link target. Links are not followed. */
export async function snapshotTree(directory: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const walk = async (path: string, relative: string): Promise<void> => {
    for (const raw of await readdir(fsPath(path), { encoding: 'buffer' })) {
      const name = decodeName(raw);
      const at = `${path}/${name}`;
      const key = relative === '' ? name : `${relative}/${name}`;
      const stats = await lstat(fsPath(at));
      const mode = (stats.mode & 0o7777).toString(8);
      if (stats.isDirectory()) {
        found.set(key, `directory ${mode}`);
        await walk(at, key);
      } else if (stats.isSymbolicLink()) {
        found.set(key, `link ${decodeName(await readlink(fsPath(at), { encoding: 'buffer' }))}`);
      } else if (stats.isFile()) {
        found.set(
          key,
          `file ${mode} ${createHash('sha256')
            .update(await readFile(fsPath(at)))
            .digest('hex')}`,
        );
      } else {
        found.set(key, 'special');
      }
    }
  };
  await walk(directory, '');
  return found;
}

/**
 * What every component must do, whatever it captures. `makeFixture` makes a fresh, healthy source with at least one file.
 */
export function componentConformance(name: string, makeFixture: () => Promise<ComponentFixture>): void {
  describe(`component conformance: ${name}`, () => {
    const cleanUps: (() => Promise<void>)[] = [];
    afterEach(async () => {
      for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
    });
    const fixture = async (): Promise<ComponentFixture> => {
      const made = await makeFixture();
      cleanUps.push(() => made.cleanUp());
      return made;
    };
    const scratch = async (): Promise<string> => {
      const directory = await mkdtemp(join(tmpdir(), 'foodsave-conformance-'));
      cleanUps.push(() => rm(directory, { recursive: true, force: true }));
      return directory;
    };

    it('describes its source without reading it whole', async () => {
      const { component } = await fixture();
      const probe = await component.probe();
      expect(probe.entries).toBeGreaterThan(0);
      expect(probe.bytes).toBeGreaterThanOrEqual(0);
      expect(probe.summary).not.toBe('');
      expect(component.livePaths().every((path) => path.startsWith('/'))).toBe(true);
    });

    it('emits safe paths once each, parents first, siblings by bytes', async () => {
      const { component } = await fixture();
      const { entries } = await capture(component);
      expect(entries.some((entry) => entry.kind === 'file')).toBe(true);
      for (const [index, entry] of entries.entries()) {
        assertLayoutPath(entry.path);
        const before = entries[index - 1];
        if (before) expect(compareLayoutPaths(before.path, entry.path)).toBeLessThan(0);
        expect(entry.changed).toBe(false);
        if (entry.kind === 'symlink') expect(entry.linkTarget).toBeTruthy();
      }
    });

    it('keeps facts that are plain JSON and say when the source was captured', async () => {
      const { component } = await fixture();
      const started = systemClock.now();
      const { facts } = await capture(component);
      expect(JSON.parse(JSON.stringify(facts))).toEqual(facts);
      expect(facts.capturedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
      expect(Math.abs(Date.parse(facts.capturedAt) - started)).toBeLessThan(3_600_000);
    });

    it('captures the same source twice with the same result', async () => {
      const { component } = await fixture();
      const first = await capture(component);
      const second = await capture(component);
      expect(second.entries.map(digest)).toEqual(first.entries.map(digest));
    });

    it('restores into a target directory what it captured', async () => {
      const { component, verifyTarget } = await fixture();
      const captured = await capture(component);
      const directory = join(await scratch(), 'target');
      await restoreInto(component, captured, restoreRun({ kind: 'target', directory }, captured.facts));
      for (const entry of captured.entries) {
        const path = fsPath(`${directory}/${entry.path}`);
        const stats = await lstat(path);
        if (entry.kind === 'directory') expect(stats.isDirectory()).toBe(true);
        if (entry.kind === 'symlink')
          expect(decodeName(await readlink(path, { encoding: 'buffer' }))).toBe(entry.linkTarget);
        if (entry.kind === 'file') expect(Buffer.compare(await readFile(path), entry.bytes)).toBe(0);
      }
      await verifyTarget?.(directory);
    });

    it('stops when it is cancelled, and can be closed again and again', async () => {
      const { component } = await fixture();
      await expect(capture(component, AbortSignal.abort())).rejects.toThrow();
      const dump = await component.openDump({
        signal: new AbortController().signal,
        warn: () => undefined,
        previous: () => undefined,
      });
      const iterator = dump.entries()[Symbol.asyncIterator]();
      await iterator.next();
      await iterator.return?.();
      await dump.close();
      await dump.close();
    });

    it('leaves nothing behind when a restore is given up', async () => {
      const { component } = await fixture();
      const captured = await capture(component);
      const before = await liveState(component);
      const sink = await component.openRestore(restoreRun({ kind: 'live' }, captured.facts));
      for (const entry of captured.entries) await sink.write(toRestoreEntry(entry));
      await sink.close();
      await sink.close();
      expect(await liveState(component)).toEqual(before);
    });
  });
}

function digest(entry: CapturedEntry): string {
  return `${entry.kind} ${entry.path} ${createHash('sha256').update(entry.bytes).digest('hex')} ${entry.linkTarget ?? ''}`;
}

async function liveState(component: Component): Promise<unknown[]> {
  const states: unknown[] = [];
  for (const path of component.livePaths()) {
    const parent = path.slice(0, path.lastIndexOf('/'));
    states.push([...(await snapshotTree(parent))].sort());
  }
  return states;
}
