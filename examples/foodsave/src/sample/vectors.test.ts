import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateSample } from './generate.ts';
import { DIMENSION, Embedder, flatIndexHeader } from './vectors.ts';
import type { VectorSidecar } from './vectors.ts';

let scratch: string;
let folder: string;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'foodsave-vectors-'));
  generateSample(scratch, { scale: 0.5 });
  folder = join(scratch, 'data', 'vector_store');
});

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

/** Reads the index with FAISS itself (Debian: python3-faiss) and searches for the vectors at some positions. */
const READ_WITH_FAISS = `
import faiss, json, sys
index = faiss.read_index(sys.argv[1])
found = []
for position in json.loads(sys.argv[2]):
    scores, neighbours = index.search(index.reconstruct(position).reshape(1, -1), 3)
    found.append([[int(n) for n in neighbours[0]], [float(s) for s in scores[0]]])
print(json.dumps(dict(kind=type(index).__name__, ntotal=index.ntotal, d=index.d, metric=index.metric_type, found=found)))
`;

describe('the vector store', () => {
  test('is an index that FAISS reads, with the nearest neighbours that the vectors have', () => {
    const sidecar = JSON.parse(readFileSync(join(folder, 'index.meta.json'), 'utf8')) as VectorSidecar;
    const positions = [0, 7, sidecar.count - 1];
    const output = execFileSync(
      '/usr/bin/python3',
      ['-c', READ_WITH_FAISS, join(folder, 'index.faiss'), JSON.stringify(positions)],
      { encoding: 'utf8' },
    );
    const read = JSON.parse(output) as { ntotal: number; d: number; metric: number; found: [number[], number[]][] };
    expect(read).toMatchObject({ ntotal: sidecar.count, d: DIMENSION, metric: 0 });

    const bytes = readFileSync(join(folder, 'index.faiss'));
    const vector = (position: number): number[] =>
      Array.from({ length: DIMENSION }, (_, axis) => bytes.readFloatLE(45 + 4 * (position * DIMENSION + axis)));
    const all = Array.from({ length: sidecar.count }, (_, position) => vector(position));
    for (const [at, position] of positions.entries()) {
      const scores = all
        .map((other, candidate) => ({
          candidate,
          score: other.reduce((sum, value, axis) => sum + value * all[position]![axis]!, 0),
        }))
        .sort((a, b) => b.score - a.score);
      const [neighbours, found] = read.found[at]!;
      expect(neighbours).toEqual(scores.slice(0, 3).map((score) => score.candidate));
      expect(neighbours[0]).toBe(position);
      expect(found[0]).toBeCloseTo(1, 4);
      expect(found[1]).toBeCloseTo(scores[1]!.score, 4);
    }
  });

  test('has a sidecar that agrees with the index', () => {
    const sidecar = JSON.parse(readFileSync(join(folder, 'index.meta.json'), 'utf8')) as VectorSidecar;
    expect(sidecar).toMatchObject({
      engine: 'faiss',
      model: 'all-MiniLM-L6-v2',
      dimension: 384,
      metric: 'inner_product',
    });
    expect(new Set(sidecar.ids).size).toBe(sidecar.count);
    expect(sidecar.texts).toHaveLength(sidecar.count);
    expect(readFileSync(join(folder, 'index.faiss'))).toHaveLength(45 + sidecar.count * DIMENSION * 4);
  });

  test('has the header that faiss 1.7.3 wrote for an IndexFlatIP of 384 dimensions and three vectors', () => {
    expect(flatIndexHeader(3).toString('hex')).toBe(
      '4978464980010000030000000000000000001000000000000000100000000000010000000080040000000000' + '00',
    );
  });

  test('puts texts that share words nearer to each other than texts that do not', () => {
    const embedder = new Embedder();
    const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, axis) => sum + value * b[axis]!, 0);
    const soup = embedder.embed('zupa krem z dyni i marchewki');
    const close = dot(soup, embedder.embed('zupa krem z kalafiora i marchewki'));
    expect(dot(soup, soup)).toBeCloseTo(1, 5);
    expect(close).toBeGreaterThan(0.4);
    expect(Math.abs(dot(soup, embedder.embed('faktura sklepu osiedlowego')))).toBeLessThan(0.25);
  });
});
