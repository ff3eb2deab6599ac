import { levelsOf, PortableCodec, type CodecOptions, type Codecs } from './codec.ts';

/** `load`: how to get the native functions; a test passes one that fails. */
export async function loadCodecs(
  options: CodecOptions,
  load: () => Promise<typeof import('./native-codec.ts')> = () => import('./native-codec.ts'),
): Promise<Codecs> {
  const { level, ...hurry } = levelsOf(options);
  try {
    const { NativeCodec, nativeSealing } = await load();
    return { frames: new NativeCodec(level), sealing: nativeSealing, ...hurry };
  } catch {
    // No binary of koffi for this machine, or a Node.js that exports nothing: the same bytes, with more memory and time.
    return { frames: new PortableCodec(level), ...hurry };
  }
}
