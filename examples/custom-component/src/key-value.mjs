// A custom component in one file: an append-only key-value store. Each line of the file is one record,
// {"seq": 7, "key": "theme", "value": "dark"}, and `seq` only ever grows. A program appends whole lines; when it
// compacts the store, it writes a new file and renames it over the old one.
//
//   plugins: [./key-value.mjs]
//   components:
//     key_value: { path: ./data/store.jsonl }

import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';

const NEWLINE = 0x0a;
const PIECE_BYTES = 1024 * 1024;
/** Longest record, in bytes: bounds the memory that a damaged store can cost. */
const MAX_RECORD_BYTES = 1024 * 1024;

// #region driver
export default function plugin(api) {
  return api.defineComponent({
    type: 'key_value',
    driver: 'jsonl',
    config(instance, value) {
      const reader = new api.ConfigReader(instance, value, { path: './data/store.jsonl' });
      return { path: reader.requiredString('path') };
    },
    open: (instance, config, context) => new KeyValueStore(api, instance, config, context),
  });
}
// #endregion

// #region component
class KeyValueStore {
  type = 'key_value';

  constructor(api, instance, config, context) {
    this.api = api;
    this.instance = instance;
    this.context = context;
    this.path = resolve(context.baseDir, config.path);
  }

  livePaths() {
    return [this.path];
  }

  async probe() {
    const handle = await this.openStore();
    try {
      const { size } = await handle.stat();
      return { bytes: size, entries: 1, summary: `append-only store of ${size} bytes` };
    } finally {
      await handle.close();
    }
  }

  async openDump(run) {
    return new KeyValueDump(this, await this.openStore(), run);
  }

  /** Rejects with SOURCE_MISSING or SOURCE_UNREADABLE. */
  async openStore() {
    const { BackupError, printable, systemErrorCode } = this.api;
    let handle;
    try {
      // O_NONBLOCK: opening a pipe that took the place of the store must not wait for a writer.
      handle = await open(this.path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      if ((await handle.stat()).isFile()) return handle;
    } catch (cause) {
      const code = systemErrorCode(cause);
      const missing = code === 'ENOENT' || code === 'ENOTDIR';
      throw new BackupError(
        missing ? 'SOURCE_MISSING' : 'SOURCE_UNREADABLE',
        `The store "${printable(this.path)}" ${missing ? 'does not exist' : `cannot be opened (${code})`}`,
        { hint: 'Correct "path" in the configuration, or check the owner and the mode of the file.', cause },
      );
    }
    await handle.close();
    throw new BackupError('SOURCE_UNREADABLE', `The store "${printable(this.path)}" is not a file`, {
      hint: 'Correct "path" in the configuration.',
    });
  }
  // #endregion

  // #region restore
  async openRestore(run) {
    const { clock, baseDir } = this.context;
    const sink = await this.api.openFsRestore({ run, clock, baseDir, roots: [this.path] });
    return {
      plan: (entries) => sink.plan(entries),
      write: (entry) => sink.write(entry),
      close: () => sink.close(),
      commit: async () => {
        const result = await sink.commit();
        if (run.destination.kind === 'target') return result;
        const note = 'Restart the program that uses the store: until then it writes to the file that was replaced.';
        return { ...result, notes: [...result.notes, note] };
      },
    };
  }
  // #endregion
}

// #region dump
/** The records that were complete when the dump began. What is appended later belongs to the next backup. */
class KeyValueDump {
  records = new Records();

  constructor(store, handle, run) {
    this.store = store;
    this.handle = handle;
    this.run = run;
    this.capturedAt = store.api.isoTime(store.context.clock);
  }

  async *entries() {
    const { api, context, path } = this.store;
    api.throwIfCancelled(this.run.signal);
    yield* await api.parentEntries(context.baseDir, path, context.clock);
    const stats = await this.handle.stat({ bigint: true });
    const size = await this.completeBytes(Number(stats.size));
    yield {
      path: api.layoutPath(context.baseDir, path),
      kind: 'file',
      meta: api.metaOf(stats),
      size,
      content: { kind: 'stream', open: () => this.pieces(size) },
    };
  }

  /** Bytes up to the end of the last whole record: a record that is being written now has no newline yet. */
  async completeBytes(size) {
    const from = Math.max(0, size - MAX_RECORD_BYTES);
    const tail = await this.read(from, size - from);
    const newline = tail.lastIndexOf(NEWLINE);
    if (newline < 0 && from > 0) throw this.corrupt('its last record has no end');
    return from + newline + 1;
  }

  async *pieces(size) {
    for (let at = 0; at < size; at += PIECE_BYTES) {
      this.store.api.throwIfCancelled(this.run.signal);
      const piece = await this.read(at, Math.min(PIECE_BYTES, size - at));
      if (!this.records.add(piece)) throw this.corrupt(`a record is longer than ${MAX_RECORD_BYTES} bytes`);
      yield piece;
    }
  }

  async read(position, length) {
    const bytes = Buffer.alloc(length);
    for (let filled = 0; filled < length;) {
      const { bytesRead } = await this.handle.read(bytes, filled, length - filled, position + filled);
      if (bytesRead === 0) {
        const { BackupError, printable } = this.store.api;
        throw new BackupError(
          'SOURCE_CHANGED',
          `The store "${printable(this.store.path)}" became shorter while it was read`,
          {
            hint: 'Let the program compact into a new file and rename it, and take the backup again.',
          },
        );
      }
      filled += bytesRead;
    }
    return bytes;
  }

  corrupt(reason) {
    const { BackupError, printable } = this.store.api;
    return new BackupError('SOURCE_CORRUPT', `The store "${printable(this.store.path)}" is damaged: ${reason}`, {
      hint: 'Restore it from an earlier backup, or repair it with its own program.',
    });
  }

  async facts() {
    const { count, lastSeq, damaged, firstDamaged } = this.records;
    const facts = { capturedAt: this.capturedAt, records: count, lastSeq };
    return damaged === 0 ? facts : { ...facts, corrupt: true, damagedRecords: damaged, firstDamagedLine: firstDamaged };
  }

  close() {
    this.closed ??= this.handle.close();
    return this.closed;
  }
}
// #endregion

// #region records
/** Counts and checks records while their bytes pass by. */
class Records {
  count = 0;
  lastSeq = 0;
  damaged = 0;
  firstDamaged = 0;
  rest = Buffer.alloc(0);

  /** False when a record is longer than it may be. */
  add(piece) {
    let from = 0;
    for (let to = piece.indexOf(NEWLINE); to >= 0; to = piece.indexOf(NEWLINE, from)) {
      const line = Buffer.concat([this.rest, piece.subarray(from, to)]);
      if (line.length > MAX_RECORD_BYTES) return false;
      this.check(line.toString());
      this.rest = Buffer.alloc(0);
      from = to + 1;
    }
    this.rest = Buffer.concat([this.rest, piece.subarray(from)]);
    return this.rest.length <= MAX_RECORD_BYTES;
  }

  check(line) {
    this.count += 1;
    const seq = seqOf(line);
    if (seq !== undefined && seq > this.lastSeq) {
      this.lastSeq = seq;
      return;
    }
    this.damaged += 1;
    if (this.firstDamaged === 0) this.firstDamaged = this.count;
  }
}

function seqOf(line) {
  try {
    const { seq, key } = JSON.parse(line);
    return Number.isSafeInteger(seq) && typeof key === 'string' ? seq : undefined;
  } catch {
    return undefined;
  }
}
// #endregion
