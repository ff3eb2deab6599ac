import { PortableDecoder, type FrameDecoder } from './frame-decoder.ts';

let loaded: Promise<FrameDecoder> | undefined;

/** One for all readers of this process, as its memory is. `load`: how to get the native one; a test passes one that fails. */
export function loadDecoder(load?: () => Promise<typeof import('./native-decoder.ts')>): Promise<FrameDecoder> {
  if (load !== undefined) return firstChoice(load);
  return (loaded ??= firstChoice(() => import('./native-decoder.ts')));
}

async function firstChoice(load: () => Promise<typeof import('./native-decoder.ts')>): Promise<FrameDecoder> {
  try {
    const { NativeDecoder } = await load();
    return new NativeDecoder();
  } catch {
    // No binary of koffi for this machine, or a Node.js that exports nothing: the same bytes, with more memory and time.
    return new PortableDecoder();
  }
}
