/** A frame that is being opened, or is open. */
export interface HeldFrame {
  readonly key: string;
  /** Bytes. */
  readonly length: number;
  /** Undefined until `ready` resolves. */
  bytes?: Uint8Array;
  ready: Promise<void>;
  /** Who looks at it now, or waits for it. */
  readers: number;
  /** Somebody may look at it for ever: its memory is not used again. */
  kept: boolean;
  cached: boolean;
}

/** The frames that were asked for last, and the memory of those that nobody needs any more. */
export class FrameCache {
  readonly #frames = new Map<string, HeldFrame>();
  readonly #most: number;
  readonly #free: (bytes: Uint8Array) => void;
  #bytes = 0;

  /** `most`: bytes that are kept. `free`: gets the bytes of frames that nobody looks at and that are not kept. */
  constructor(most: number, free: (bytes: Uint8Array) => void) {
    this.#most = most;
    this.#free = free;
  }

  has(key: string): boolean {
    return this.#frames.has(key);
  }

  /** The frame, which is then the one that leaves last. */
  get(key: string): HeldFrame | undefined {
    const frame = this.#frames.get(key);
    if (frame === undefined) return undefined;
    this.#frames.delete(key);
    this.#frames.set(key, frame);
    return frame;
  }

  add(frame: HeldFrame): void {
    this.#frames.set(frame.key, frame);
    this.#bytes += frame.length;
    for (const oldest of this.#frames.values()) {
      if (this.#bytes <= this.#most || oldest === frame) break;
      this.remove(oldest);
    }
  }

  remove(frame: HeldFrame): void {
    if (!frame.cached) return;
    frame.cached = false;
    this.#frames.delete(frame.key);
    this.#bytes -= frame.length;
    this.tidy(frame);
  }

  /** To be called when a reader has gone, and when a frame has come. */
  tidy(frame: HeldFrame): void {
    if (frame.cached || frame.readers > 0 || frame.kept || frame.bytes === undefined) return;
    this.#free(frame.bytes);
    delete frame.bytes;
  }
}
