import { systemErrorCode } from './errors.ts';

/** Bytes: what the memory, the offset and the length of a direct read or write are multiples of. The largest that disks ask for. */
export const DIRECT_UNIT = 4096;

// Of the standard library's types only those for browsers have it.
declare const WebAssembly: {
  Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
};
const WASM_PAGE = 65_536;
const aligned = new WeakSet<ArrayBufferLike>();

/**
 * Memory that a file can be written from past the page cache: it begins at a page. Node.js allocates buffers at any address and does
 * not tell which; the memory of WebAssembly begins at a page by its nature. At least `bytes` long, zeros, never to be transferred.
 */
export function alignedBuffer(bytes: number): Buffer {
  const pages = Math.ceil(bytes / WASM_PAGE);
  const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages });
  aligned.add(buffer);
  return Buffer.from(buffer);
}

/** Whether it lies in memory that `alignedBuffer` gave, at a multiple of `DIRECT_UNIT`. */
export function isAligned(view: Uint8Array): boolean {
  return view.byteOffset % DIRECT_UNIT === 0 && aligned.has(view.buffer);
}

const REFUSALS: readonly string[] = ['EINVAL', 'EOPNOTSUPP', 'ENOTSUP'];

/** What file systems say that do not write past the page cache, or not in these units. */
export function refusesDirect(error: unknown): boolean {
  return REFUSALS.includes(systemErrorCode(error) ?? '');
}
