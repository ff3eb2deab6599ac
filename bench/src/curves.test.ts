import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tempDir } from '@foodsave-backup/testing';
import { COLOURS, draw, INK, tickText, type Line, type Picture } from './curve-draw.ts';
import { measureCurve } from './curve-measure.ts';
import { picturesOf } from './curve-pictures.ts';
import { CURVES, fromCsv, modelled, toCsv, type CurveName, type CurvePoint } from './curve-points.ts';
import { drawCurves } from './curves.ts';

const DOCS = fileURLToPath(new URL('../../docs/performance/', import.meta.url));
const NAMES = Object.keys(CURVES) as CurveName[];

const point = (more: Partial<CurvePoint>): CurvePoint => ({
  ...{ tool: 'foodsave-backup', step: 'first backup', x: 1000, seconds: 1.5, cpuSeconds: 2, peakBytes: 1e8 },
  ...{ addedBytes: 4096, kind: 'measured' },
  ...more,
});

const anyPoint: fc.Arbitrary<CurvePoint> = fc
  .record({
    tool: fc.constantFrom('foodsave-backup', 'restic'),
    step: fc.constantFrom('first backup', 'nothing changed', 'check without data'),
    x: fc.integer({ min: 1, max: 1e12 }),
    seconds: fc.integer({ min: 0, max: 1e9 }).map((ms) => ms / 1000),
    cpuSeconds: fc.integer({ min: 0, max: 1e8 }).map((ticks) => ticks / 100),
    peakBytes: fc.nat(2 ** 40),
    kind: fc.constantFrom('measured', 'modelled'),
    addedBytes: fc.option(fc.nat(2 ** 40), { nil: undefined }),
  })
  .map(({ addedBytes, ...rest }) => (addedBytes === undefined ? rest : { ...rest, addedBytes }));

describe('the points of a curve', () => {
  it('come back from CSV as they were', () => {
    fc.assert(
      fc.property(fc.constantFrom(...NAMES), fc.array(anyPoint), (curve, points) => {
        expect(fromCsv(curve, toCsv(curve, points))).toEqual(points);
      }),
    );
  });

  it('have their units in the header, and nothing else is taken for them', () => {
    const csv = toCsv('data', [point({})]);
    expect(csv.split('\n')).toEqual([
      'tool,step,bytes of data,time (s),processor time (s),peak memory (bytes),added (bytes),kind',
      'foodsave-backup,first backup,1000,1.500,2.00,100000000,4096,measured',
      '',
    ]);
    expect(() => fromCsv('files', csv)).toThrow('header');
    for (const bad of [csv.replace('1.500', ''), csv.replace('measured', 'guessed'), csv.replace('\n', '\n,')]) {
      expect(() => fromCsv('data', bad)).toThrow(/header|Not a point/);
    }
    expect(() => fromCsv('data', `${csv}more\n`)).toThrow('Not a point');
    expect(() => toCsv('data', [point({ step: 'a,b' })])).toThrow('a,b');
  });

  it('are continued by the line through the last two that were measured, and said to be modelled', () => {
    const line = [
      point({ x: 1e9, seconds: 100, peakBytes: 9e8 }),
      point({ x: 10e9, seconds: 12, peakBytes: 3e8, addedBytes: 5e9 }),
      point({ x: 1e9, seconds: 3, peakBytes: 3e8, addedBytes: 5e8 }),
      point({ x: 1e9, step: 'restore', seconds: 1 }),
      point({ x: 50e9, seconds: 7, kind: 'modelled' }),
    ].slice(1);
    expect(modelled(line, 100e9)).toEqual([
      point({ x: 100e9, seconds: 102, peakBytes: 3e8, addedBytes: 50e9, kind: 'modelled' }),
    ]);
    const falling = [point({ x: 1, seconds: 5 }), point({ x: 2, seconds: 4 })];
    expect(modelled(falling, 10)).toMatchObject([{ seconds: 4 }]);
    expect(modelled(falling, 2)).toEqual([]);
  });
});

/** Relative luminance and contrast as WCAG 2 defines them. */
function contrast(a: string, b: string): number {
  const luminance = (colour: string): number =>
    [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
      const value = Number.parseInt(colour.slice(1 + 2 * i, 3 + 2 * i), 16) / 255;
      return sum + weight * (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    }, 0);
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

const line = (more: Partial<Line>): Line => ({ label: 'one', colour: 0, dashed: false, points: [], ...more });
const picture = (lines: Line[]): Picture => ({
  title: 'Time <against> "files" & more',
  x: { title: 'files', unit: 'count' },
  y: { title: 'wall time', unit: 's' },
  lines,
});
const at = (x: number, y: number, hollow = false) => ({ x, y, hollow });

describe('a drawn curve', () => {
  it('has logarithmic axes: ten times as much is the same way everywhere', () => {
    const svg = draw(picture([line({ points: [at(1, 1), at(10, 100), at(100, 10), at(1000, 1000)] })]));
    const dots = [...svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)" r="3.5"/g)].map(([, x, y]) => [
      Number(x),
      Number(y),
    ]);
    expect(dots.slice(0, 4)).toEqual([
      [74, 344],
      [236, 141.3],
      [398, 242.7],
      [560, 40],
    ]);
    for (const tick of ['>1<', '>10<', '>100<', '>1 k<', '>1 s<', '>1000 s<']) expect(svg).toContain(tick);
  });

  it('is well-formed, the same every time, and leaves out what has no logarithm', () => {
    const lines = [
      line({ label: 'a <b> & c', points: [at(0, 1), at(5, 0), at(5, 3), at(50, 7, true)] }),
      line({ label: 'nothing', colour: 1, points: [at(10, 0)] }),
    ];
    const svg = draw(picture(lines));
    expect(draw(picture(lines))).toBe(svg);
    expect(svg).not.toContain('nothing');
    expect(svg).toContain('modelled, not measured');
    expect(draw(picture([line({ points: [at(1, 1)] })]))).not.toContain('modelled');
    const read = 'import sys, xml.dom.minidom as m; d = m.parse(sys.stdin); print(d.documentElement.tagName)';
    for (const one of [svg, draw(picture([]))]) {
      expect(execFileSync('/usr/bin/python3', ['-c', read], { input: one, encoding: 'utf8' })).toBe('svg\n');
      expect(one).not.toMatch(/NaN|Infinity|undefined/);
    }
  });

  it('is read on white and at night', () => {
    for (const colour of [...COLOURS, INK]) {
      for (const ground of ['#ffffff', '#0d1117']) expect(contrast(colour, ground), colour).toBeGreaterThan(3);
    }
    expect(contrast('#000000', '#ffffff')).toBeCloseTo(21);
  });

  it('writes ticks as people say them', () => {
    expect([0.002, 0.05, 0.5, 20].map((value) => tickText(value, 's'))).toEqual(['2 ms', '50 ms', '0.5 s', '20 s']);
    expect([500, 1e6, 2e9, 1e11].map((value) => tickText(value, 'bytes'))).toEqual(['500 B', '1 MB', '2 GB', '100 GB']);
    expect([1, 1e4, 1e6].map((value) => tickText(value, 'count'))).toEqual(['1', '10 k', '1 M']);
  });
});

describe('the pictures of a curve', () => {
  it('are drawn anew from its CSV file', async () => {
    await using temp = await tempDir();
    const points = [point({}), point({ tool: 'restic', x: 1e4, seconds: 9 })];
    writeFileSync(join(temp.path, 'files.csv'), toCsv('files', points));
    expect(drawCurves(temp.path, ['files'])).toEqual(['files-time.svg', 'files-memory.svg', 'files-added.svg']);
    for (const [name, svg] of picturesOf('files', points)) {
      expect(readFileSync(join(temp.path, name), 'utf8')).toBe(svg);
      for (const label of ['first backup, ours', 'first backup, restic']) expect(svg).toContain(label);
    }
  });

  it('in the documents are those of the CSV files beside them', async () => {
    await using temp = await tempDir();
    mkdirSync(join(temp.path, 'drawn'));
    const drawn = join(temp.path, 'drawn');
    for (const curve of NAMES) {
      writeFileSync(join(drawn, `${curve}.csv`), readFileSync(join(DOCS, `${curve}.csv`)));
    }
    const names = drawCurves(drawn, NAMES);
    expect(names).toHaveLength(9);
    for (const name of names)
      expect(readFileSync(join(DOCS, name), 'utf8')).toBe(readFileSync(join(drawn, name), 'utf8'));
    rmSync(drawn, { recursive: true });
  });
});

describe('a measured curve', () => {
  it(
    'has each step at each size, counts backups made in one process, and says what it leaves out',
    { timeout: 240_000 },
    async () => {
      await using temp = await tempDir();
      const root = fileURLToPath(new URL('../../', import.meta.url));
      const notes: string[] = [];
      const options = {
        ...{ scratch: temp.path, root, cold: false, rounds: 1, minutes: 5, progress: () => undefined },
        most: { data: 1, files: 1000, backups: 10 },
        note: (text: string) => notes.push(text),
      };
      const steps = (points: readonly CurvePoint[]) =>
        points.filter(({ tool }) => tool === 'foodsave-backup').map(({ step, x }) => `${step} ${x}`);
      const files = await measureCurve('files', options);
      expect(steps(files)).toEqual(['first backup 1000', 'nothing changed 1000', 'restore 1000']);
      const beside = await measureCurve('backups', options);
      const three = ['one more backup', 'list', 'check without data'];
      expect(steps(beside)).toEqual([1, 10].flatMap((x) => three.map((step) => `${step} ${x}`)));
      for (const point of [...files, ...beside]) {
        expect(point.seconds).toBeGreaterThan(0);
        expect(point.peakBytes).toBeGreaterThan(1e6);
        expect(point.addedBytes === undefined).toBe(!/backup|changed/.test(point.step));
      }
      expect(notes).toEqual([]);
      const late = await measureCurve('backups', { ...options, minutes: 1e-9 });
      expect(late).toEqual([]);
      expect(notes).toEqual(['backups at 1: the time was over before one was made']);
      expect(await measureCurve('data', options)).toEqual([]);
      expect(readdirSync(temp.path)).toEqual([]);
    },
  );
});
