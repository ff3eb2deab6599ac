import { closeSync, mkdirSync, openSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { TextSource } from './documents.ts';
import { Random } from './random.ts';
import { LAST_MOMENT, remark } from './texts.ts';

export const DIMENSION = 384;

/** The sidecar `index.meta.json`: what the vector at each position of the index stands for. */
export interface VectorSidecar {
  engine: 'faiss';
  index_type: 'IndexFlatIP';
  model: string;
  dimension: number;
  metric: 'inner_product';
  count: number;
  ids: string[];
  texts: string[];
}

/**
 * Unit vectors of bags of words: each word has a fixed random direction, a text is their sum (random indexing, Kanerva
 * et al. 2000). Texts that share words are neighbours, without a model of a hundred megabytes.
 */
export class Embedder {
  readonly #directions = new Map<string, Float32Array>();

  embed(text: string): Float32Array {
    const sum = new Float32Array(DIMENSION);
    for (const word of new Set(text.toLowerCase().match(/\p{L}{3,}/gu) ?? ['empty'])) {
      const direction = this.#direction(word);
      for (let axis = 0; axis < DIMENSION; axis++) sum[axis] = (sum[axis] ?? 0) + (direction[axis] ?? 0);
    }
    const length = Math.hypot(...sum);
    return sum.map((value) => value / length);
  }

  #direction(word: string): Float32Array {
    let direction = this.#directions.get(word);
    if (direction === undefined) {
      const random = new Random(`word/${word}`);
      direction = Float32Array.from({ length: DIMENSION }, () => random.float() * 2 - 1);
      this.#directions.set(word, direction);
    }
    return direction;
  }
}

/** FAISS 1.7 `write_index` of an `IndexFlatIP`: "IxFI", the index header, the number of floats, the floats; little-endian. */
export function flatIndexHeader(count: number): Buffer {
  const header = Buffer.alloc(45);
  header.write('IxFI', 0, 'latin1');
  header.writeInt32LE(DIMENSION, 4);
  header.writeBigInt64LE(BigInt(count), 8);
  header.writeBigInt64LE(1n << 20n, 16); // two words that FAISS writes and ignores
  header.writeBigInt64LE(1n << 20n, 24);
  header.writeUInt8(1, 32); // trained
  header.writeInt32LE(0, 33); // METRIC_INNER_PRODUCT
  header.writeBigUInt64LE(BigInt(count) * BigInt(DIMENSION), 37);
  return header;
}

/** Writes `vector_store/`: `count` vectors over the sources in turn, later rounds being further passages of each. */
export function writeVectors(data: string, sources: readonly TextSource[], count: number, random: Random): void {
  const folder = join(data, 'vector_store');
  mkdirSync(folder, { recursive: true });
  const embedder = new Embedder();
  const ids: string[] = [];
  const texts: string[] = [];
  const file = openSync(join(folder, 'index.faiss'), 'w');
  try {
    writeSync(file, flatIndexHeader(count));
    for (let position = 0; position < count; position++) {
      const source = sources[position % sources.length];
      if (source === undefined) throw new RangeError('no texts to index');
      const passage = Math.floor(position / sources.length);
      const text =
        passage === 0 ? `${source.title}\n${source.text}` : `${source.title}. ${remark(random)}. ${remark(random)}`;
      const vector = embedder.embed(text.slice(0, 1500));
      writeSync(file, new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength));
      ids.push(passage === 0 ? source.id : `${source.id}#${String(passage)}`);
      texts.push(text.slice(0, 160));
    }
  } finally {
    closeSync(file);
  }
  const sidecar: VectorSidecar = {
    engine: 'faiss',
    index_type: 'IndexFlatIP',
    model: 'all-MiniLM-L6-v2',
    dimension: DIMENSION,
    metric: 'inner_product',
    count,
    ids,
    texts,
  };
  writeFileSync(join(folder, 'index.meta.json'), `${JSON.stringify(sidecar, null, 1)}\n`);
  for (const name of ['index.faiss', 'index.meta.json']) utimesSync(join(folder, name), LAST_MOMENT, LAST_MOMENT);
}
