import type { RestoreSink } from '../port.ts';
import { LiveSink, type LiveSinkOptions } from './live-sink.ts';
import { TargetSink } from './target-sink.ts';

/** The sink for a component made of files: below a target directory, or over the live files. */
export function openFsRestore(options: LiveSinkOptions): Promise<RestoreSink> {
  const { destination } = options.run;
  return destination.kind === 'target'
    ? TargetSink.open(options.run, destination.directory, options.policy)
    : LiveSink.open(options);
}
