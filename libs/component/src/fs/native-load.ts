import type { NativeFs } from './native.ts';

/** `load`: how to get the module with the bindings; a test passes one that fails. */
export async function loadNative(
  load: () => Promise<{ linuxFs: NativeFs }> = () => import('./native-linux.ts'),
): Promise<NativeFs | undefined> {
  if (process.platform !== 'linux') return undefined;
  try {
    return (await load()).linuxFs;
  } catch {
    // No binary for this machine or libc: everything works without, and who needs it says what is not kept.
    return undefined;
  }
}
