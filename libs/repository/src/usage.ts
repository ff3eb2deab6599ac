import type { ByteSpan } from '@foodsave-backup/format';

/** Lists are merged when they have grown by this many entries since the last time, so that memory follows what differs. */
const MERGE_AFTER = 64;

/** Bytes of one blob, as a set: added in any order, read as ascending ranges that neither touch nor overlap. */
class RangeSet {
  #ranges: ByteSpan[] = [];
  #merged = 0;

  add(from: number, to: number): void {
    const last = this.#ranges.at(-1);
    if (last !== undefined && from >= last.from && from <= last.to) {
      last.to = Math.max(last.to, to);
      return;
    }
    this.#ranges.push({ from, to });
    if (this.#ranges.length > 2 * this.#merged + MERGE_AFTER) this.ranges();
  }

  ranges(): readonly ByteSpan[] {
    if (this.#ranges.length === this.#merged) return this.#ranges;
    const merged: ByteSpan[] = [];
    for (const range of [...this.#ranges].sort((a, b) => a.from - b.from)) {
      const last = merged.at(-1);
      if (last !== undefined && range.from <= last.to) last.to = Math.max(last.to, range.to);
      else merged.push({ ...range });
    }
    this.#ranges = merged;
    this.#merged = merged.length;
    return merged;
  }
}

/** What backups need: blobs as a whole, or ranges of them. Ids are kept as latin1 strings, like those of the index. */
export class Usage {
  readonly #whole = new Set<string>();
  readonly #parts = new Map<string, RangeSet>();

  addWhole(id: Uint8Array): void {
    const key = keyOf(id);
    this.#whole.add(key);
    this.#parts.delete(key);
  }

  /** Bytes `[from, to)`. */
  addRange(id: Uint8Array, from: number, to: number): void {
    const key = keyOf(id);
    if (this.#whole.has(key)) return;
    let set = this.#parts.get(key);
    if (set === undefined) this.#parts.set(key, (set = new RangeSet()));
    set.add(from, to);
  }

  /** What of a blob is needed, as ranges of its bytes; `undefined` when nothing is. `length`: bytes of the blob. */
  of(id: Uint8Array, length: number): readonly ByteSpan[] | undefined {
    const key = keyOf(id);
    if (this.#whole.has(key)) return [{ from: 0, to: length }];
    return this.#parts.get(key)?.ranges();
  }

  /** Every blob of which anything is needed. */
  *ids(): Generator<Buffer> {
    for (const key of this.#whole) yield Buffer.from(key, 'latin1');
    for (const key of this.#parts.keys()) yield Buffer.from(key, 'latin1');
  }
}

function keyOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1');
}
