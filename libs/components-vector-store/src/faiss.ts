import { BackupError, throwIfCancelled } from '@foodsave-backup/kernel';
import type { BytesReader } from './reader.ts';

/** Nearest neighbours are looked for among at most so many vectors, evenly spread over the index. */
export const MAX_COMPARED = 200_000;
const QUERIES = 3;
const NEIGHBOURS = 3;
const PIECE_BYTES = 4 * 1024 * 1024;
const MAX_DIMENSION = 1 << 20;

/** Kinds of indexes by their four characters (faiss/impl/index_write.cpp). Flat ones and maps of flat ones are read whole. */
export const FAISS_KINDS: Readonly<Record<string, string>> = {
  IxF2: 'Flat, L2',
  IxFI: 'Flat, inner product',
  IxFl: 'Flat',
  IxMp: 'IDMap',
  IxM2: 'IDMap2',
  IxPT: 'PreTransform',
  IxPq: 'PQ',
  IxPo: 'PQ',
  IxSQ: 'ScalarQuantizer',
  IxHE: 'LSH',
  IxHe: 'LSH',
  IxRF: 'RefineFlat',
  IxRq: 'ResidualQuantizer',
  IxLS: 'LocalSearchQuantizer',
  IwFl: 'IVF, flat',
  IwFd: 'IVF, flat, deduplicated',
  IvFl: 'IVF, flat',
  IwPQ: 'IVF, PQ',
  IvPQ: 'IVF, PQ',
  IwQR: 'IVF, PQR',
  IvQR: 'IVF, PQR',
  IwSQ: 'IVF, scalar quantizer',
  IwSq: 'IVF, scalar quantizer',
  IwPf: 'IVF, PQ fast scan',
  IPfs: 'PQ fast scan',
  IHNf: 'HNSW, flat',
  IHNp: 'HNSW, PQ',
  IHNs: 'HNSW, scalar quantizer',
  IHN2: 'HNSW, two levels',
  IHNc: 'HNSW, cagra',
  INSf: 'NSG, flat',
  INNf: 'NNDescent, flat',
};

const METRICS: Readonly<Record<number, string>> = {
  0: 'inner_product',
  1: 'l2',
  2: 'l1',
  3: 'linf',
  4: 'lp',
  20: 'canberra',
  21: 'bray_curtis',
  22: 'jensen_shannon',
  23: 'jaccard',
};

export interface Neighbours {
  /** Id of a stored vector. */
  query: number;
  /** Ids of the stored vectors nearest to it, nearest first; it is usually among them itself. */
  nearest: number[];
}

export interface FaissFacts {
  /** The four characters at the start of the file. */
  kind: string;
  vectors: number;
  dimension: number;
  metric: string;
  /** Null where the vectors cannot be read without FAISS (compressed and graph indexes), and for other metrics than L2 and inner product. */
  nearestNeighbours: Neighbours[] | null;
  /** How many vectors were compared. */
  compared: number;
}

interface Header {
  kind: string;
  dimension: number;
  vectors: number;
  metric: number;
  /** Where the header ends. */
  end: number;
}

interface Flat extends Header {
  /** Where the vectors start. */
  data: number;
  /** Where the index ends. */
  close: number;
}

/** Whether a file starts like an index that FAISS wrote. */
export async function looksLikeFaiss(reader: BytesReader): Promise<boolean> {
  const head = Buffer.from(await reader.read(0, 4)).toString('latin1');
  return Object.hasOwn(FAISS_KINDS, head);
}

/**
 * Reads the facts of a FAISS index from its bytes; nothing is loaded, unpickled or executed. Flat indexes (also inside an
 * IDMap) must have exactly the size that their header promises. Throws SOURCE_CORRUPT for what does not parse.
 */
export async function inspectFaiss(reader: BytesReader, signal?: AbortSignal): Promise<FaissFacts> {
  const header = await readHeader(reader, 0);
  const facts: FaissFacts = {
    kind: header.kind,
    vectors: header.vectors,
    dimension: header.dimension,
    metric: METRICS[header.metric] ?? `metric ${header.metric}`,
    nearestNeighbours: null,
    compared: 0,
  };
  if (isFlat(header.kind)) {
    const flat = await readFlat(reader, header);
    if (flat.close !== reader.size) throw corrupt(`${reader.size - flat.close} bytes follow its end`);
    return searched(reader, facts, flat, (position) => Promise.resolve(position), signal);
  }
  if (header.kind === 'IxMp' || header.kind === 'IxM2') {
    const inner = await readHeader(reader, header.end);
    if (inner.vectors !== header.vectors || inner.dimension !== header.dimension)
      throw corrupt('the index in its map has another size');
    if (!isFlat(inner.kind)) return facts;
    const flat = await readFlat(reader, inner);
    const ids = await readCount(reader, flat.close);
    if (ids !== header.vectors) throw corrupt(`it has ${ids} ids for ${header.vectors} vectors`);
    const start = flat.close + 8;
    if (start + ids * 8 !== reader.size) throw corrupt('its list of ids is cut off or too long');
    return searched(
      reader,
      facts,
      flat,
      async (position) => Number(view(await exactly(reader, start + position * 8, 8)).getBigInt64(0, true)),
      signal,
    );
  }
  return facts;
}

function isFlat(kind: string): boolean {
  return kind === 'IxF2' || kind === 'IxFI' || kind === 'IxFl';
}

/** Four characters, d (int32), ntotal (int64), two unused int64, is_trained (1 byte), metric (int32) and, above 1, its argument (float). */
async function readHeader(reader: BytesReader, at: number): Promise<Header> {
  const bytes = await exactly(reader, at, 37);
  const kind = Buffer.from(bytes.buffer, bytes.byteOffset, 4).toString('latin1');
  if (!Object.hasOwn(FAISS_KINDS, kind))
    throw corrupt(`it does not start like an index (${JSON.stringify(kind.replace(/[^ -~]/g, '?'))})`);
  const fields = view(bytes);
  const dimension = fields.getInt32(4, true);
  const vectors = fields.getBigInt64(8, true);
  const trained = fields.getUint8(32);
  const metric = fields.getInt32(33, true);
  if (dimension < 1 || dimension > MAX_DIMENSION) throw corrupt(`its dimension is ${dimension}`);
  if (vectors < 0n || vectors > BigInt(Number.MAX_SAFE_INTEGER)) throw corrupt(`its number of vectors is ${vectors}`);
  if (trained > 1 || metric < 0 || metric > 255) throw corrupt('its header makes no sense');
  return { kind, dimension, vectors: Number(vectors), metric, end: at + 37 + (metric > 1 ? 4 : 0) };
}

/** After the header of a flat index: the number of floats (uint64), and the floats. */
async function readFlat(reader: BytesReader, header: Header): Promise<Flat> {
  const floats = await readCount(reader, header.end);
  if (floats !== header.vectors * header.dimension)
    throw corrupt(`it has ${floats} numbers for ${header.vectors} vectors of ${header.dimension}`);
  const data = header.end + 8;
  const close = data + floats * 4;
  if (close > reader.size) throw corrupt(`${close - reader.size} bytes are missing at its end`);
  return { ...header, data, close };
}

async function readCount(reader: BytesReader, at: number): Promise<number> {
  return Number(view(await exactly(reader, at, 8)).getBigUint64(0, true));
}

async function exactly(reader: BytesReader, at: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
  const bytes = at > reader.size ? new Uint8Array() : await reader.read(at, length, into);
  if (bytes.length < length) throw corrupt('it is cut off');
  return bytes;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

async function searched(
  reader: BytesReader,
  facts: FaissFacts,
  flat: Flat,
  idOf: (position: number) => Promise<number>,
  signal: AbortSignal | undefined,
): Promise<FaissFacts> {
  if (flat.vectors === 0 || flat.metric > 1) return facts;
  const last = flat.vectors - 1;
  const positions = [
    ...new Set(Array.from({ length: QUERIES }, (_, index) => Math.floor((last * index) / (QUERIES - 1)))),
  ];
  const queries: Query[] = [];
  for (const position of positions)
    queries.push({ position, vector: await vectorAt(reader, flat, position), best: [], worst: Infinity });
  const compared = await scan(reader, flat, queries, signal);
  const nearestNeighbours: Neighbours[] = [];
  for (const query of queries) {
    const nearest: number[] = [];
    for (const { position } of query.best) nearest.push(await idOf(position));
    nearestNeighbours.push({ query: await idOf(query.position), nearest });
  }
  return { ...facts, nearestNeighbours, compared };
}

interface Query {
  position: number;
  vector: Float32Array;
  /** Ascending by distance, then by position. */
  best: { position: number; distance: number }[];
  /** Distance of the last of them. */
  worst: number;
}

async function vectorAt(reader: BytesReader, flat: Flat, position: number): Promise<Float32Array> {
  const size = flat.dimension * 4;
  return floatsOf(await exactly(reader, flat.data + position * size, size));
}

/** A copy, because typed arrays of floats must be aligned. FAISS writes the machine's byte order: little-endian here. */
function floatsOf(bytes: Uint8Array): Float32Array {
  return new Float32Array(new Uint8Array(bytes).buffer);
}

/** Compares each query with every `stride`-th vector, reading in pieces of at most 4 MiB (one vector at least). */
async function scan(
  reader: BytesReader,
  flat: Flat,
  queries: readonly Query[],
  signal: AbortSignal | undefined,
): Promise<number> {
  const { dimension, metric } = flat;
  const size = dimension * 4;
  const stride = Math.ceil(flat.vectors / MAX_COMPARED);
  const perPiece = stride === 1 ? Math.max(1, Math.floor(PIECE_BYTES / size)) : 1;
  // One for all pieces, and aligned, as typed arrays of floats must be.
  const floats = new Float32Array(Math.min(perPiece, flat.vectors) * dimension);
  const bytes = new Uint8Array(floats.buffer);
  const vectors = QUERIES_TOGETHER.map((i) => (queries[i] ?? (queries[0] as Query)).vector) as Triple<Float32Array>;
  const distances = new Float64Array(QUERIES);
  let compared = 0;
  for (let position = 0; position < flat.vectors; position += perPiece * stride) {
    throwIfCancelled(signal);
    const count = Math.min(perPiece, flat.vectors - position);
    const piece = await exactly(reader, flat.data + position * size, count * size, bytes);
    if (piece.buffer !== floats.buffer) bytes.set(piece);
    for (let index = 0; index < count; index++) {
      measure(vectors, floats, index * dimension, metric, distances);
      for (let i = 0; i < queries.length; i++) {
        const query = queries[i] as Query;
        const distance = distances[i] as number;
        if (distance < query.worst || query.best.length < NEIGHBOURS) offer(query, position + index, distance);
      }
    }
    compared += count;
  }
  return compared;
}

type Triple<T> = [T, T, T];
const QUERIES_TOGETHER = [0, 1, 2] as const;

/** Smaller is nearer: the squared L2 distance, or the negated inner product. Three queries read the vector once. */
function measure(
  queries: Triple<Float32Array>,
  floats: Float32Array,
  start: number,
  metric: number,
  out: Float64Array,
) {
  const [p, q, r] = queries;
  const length = p.length;
  let [x, y, z] = [0, 0, 0];
  if (metric === 1) {
    for (let i = 0; i < length; i++) {
      const b = floats[start + i] as number;
      const dx = (p[i] as number) - b;
      const dy = (q[i] as number) - b;
      const dz = (r[i] as number) - b;
      x += dx * dx;
      y += dy * dy;
      z += dz * dz;
    }
  } else {
    for (let i = 0; i < length; i++) {
      const b = floats[start + i] as number;
      x -= (p[i] as number) * b;
      y -= (q[i] as number) * b;
      z -= (r[i] as number) * b;
    }
  }
  out[0] = x;
  out[1] = y;
  out[2] = z;
}

function offer(query: Query, position: number, distance: number): void {
  const { best } = query;
  best.push({ position, distance });
  best.sort((a, b) => a.distance - b.distance || a.position - b.position);
  if (best.length > NEIGHBOURS) best.pop();
  query.worst = best.at(-1)?.distance ?? Infinity;
}

function corrupt(reason: string): BackupError {
  return new BackupError('SOURCE_CORRUPT', `The FAISS index cannot be used: ${reason}`, {
    hint: 'Write the index again with faiss.write_index(), to a temporary name that is then renamed, and run the backup again.',
  });
}
