import type { RestoreSink, SwapSink } from '../port.ts';
import { LiveSink, type LiveSinkOptions } from './live-sink.ts';
import { TargetSink } from './target-sink.ts';

/** The sink for a component made of files: below a target directory, or over the live files. */
export function openFsRestore(options: LiveSinkOptions): Promise<RestoreSink> {
  const { destination } = options.run;
  return destination.kind === 'target'
    ? TargetSink.open(options.run, destination.directory, options.policy)
    : openLiveFsRestore(options);
}

/** Over the live files. The component has `fileSwaps` as its `swaps`. */
export function openLiveFsRestore(options: LiveSinkOptions): Promise<SwapSink> {
  return LiveSink.open(options);
}

export function isSwapSink(sink: RestoreSink): sink is SwapSink {
  return 'prepare' in sink && 'revert' in sink && 'check' in sink && 'keep' in sink;
}
