import { openFrame, sha256, type BlobEntry } from '@foodsave-backup/format';

/** Opens stored frames beside the thread that reads and writes. */
export interface FrameDecoder {
  /**
   * The bytes of frame `frameInBlob`, of which `stored` lies in the pack: authenticated with `key` (`undefined` without
   * encryption), decompressed and compared with their SHA-256 before anybody sees one. Throws DATA_DAMAGED. `stored` must not
   * change until then, and is no part of the result.
   */
  open(key: Uint8Array | undefined, blob: BlobEntry, frameInBlob: number, stored: Uint8Array): Promise<Uint8Array>;
  /** 32 bytes. `data` must not change until then. */
  sha256(data: Uint8Array): Promise<Buffer>;
  /** Opens a frame as `open` does, for nobody to look at. */
  prove(key: Uint8Array | undefined, blob: BlobEntry, frameInBlob: number, stored: Uint8Array): Promise<void>;
  /** `length` bytes that hold anything. */
  take(length: number): Buffer;
  /** Takes back what `take` or `open` gave and nobody looks at any more: the memory is used again. Not needed. */
  give(bytes: Uint8Array): void;
}

/** The same through node:zlib and node:crypto, on this thread. */
export class PortableDecoder implements FrameDecoder {
  async open(
    key: Uint8Array | undefined,
    blob: BlobEntry,
    frameInBlob: number,
    stored: Uint8Array,
  ): Promise<Uint8Array> {
    const frame = openFrame(key, blob, frameInBlob, stored);
    // Of a frame that is neither encrypted nor compressed.
    return frame === stored ? Buffer.from(frame) : frame;
  }

  async prove(key: Uint8Array | undefined, blob: BlobEntry, frameInBlob: number, stored: Uint8Array): Promise<void> {
    openFrame(key, blob, frameInBlob, stored);
  }

  take(length: number): Buffer {
    return Buffer.allocUnsafeSlow(length);
  }

  sha256(data: Uint8Array): Promise<Buffer> {
    return Promise.resolve(sha256(data));
  }

  give(): void {
    // Memory of node:zlib is not used again.
  }
}
