import { PortableCodec, type CodecOptions, type Codecs } from './codec.ts';

/** `load`: how to get the native functions; a test passes one that fails. */
export async function loadCodecs(
  options: CodecOptions,
  load: () => Promise<typeof import('./native-codec.ts')> = () => import('./native-codec.ts'),
): Promise<Codecs> {
  try {
    const { NativeCodec, nativeSealing } = await load();
    return { frames: new NativeCodec(options), sealing: nativeSealing };
  } catch {
    // No binary of koffi for this machine, or a Node.js that exports nothing: the same bytes, with more memory and time.
    return { frames: new PortableCodec(options) };
  }
}
