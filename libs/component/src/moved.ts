import { BackupError, markKind } from '@foodsave-backup/kernel';

/** What was read where it lies has changed meanwhile: of the first dump of a run (`DumpRun.attempt`), so that a second is opened. */
export class SourceMoved extends BackupError {
  static override readonly kind: symbol = Symbol.for('@foodsave-backup/SourceMoved');

  static {
    markKind(this);
  }

  /** `what`: the source, for people. */
  constructor(what: string, cause?: unknown) {
    super('SOURCE_CHANGED', `${what} changed while it was read`, {
      hint: 'Back up when nothing is written to it, or freeze the writer with a hook around the capture.',
      ...(cause === undefined ? {} : { cause }),
    });
  }
}
