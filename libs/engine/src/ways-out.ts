import type { SwapState } from '@foodsave-backup/component';
import type { RecordedSwap, RestorePhase } from './restore-record.ts';

/** One component of an interrupted restore, as it was found. */
export interface Look {
  swap: RecordedSwap;
  /** `undefined` for a component that cannot tell. */
  state: SwapState | undefined;
}

export type WayOut = 'finish' | 'undo';

export interface Circumstances {
  phase: Exclude<RestorePhase, 'prepared' | 'committed'>;
  /** There is a safety backup of the state before. */
  safety: boolean;
  prefer: WayOut | undefined;
}

/**
 * How an interrupted restore can be settled without losing what anybody wrote after it, the better way first. To finish is
 * better: the person asked for the new state, everything had been checked, and what is missing lies beside the live data. But
 * where nothing was moved, or an undo had begun, there is only the way back.
 */
export function waysOut(looks: readonly Look[], { phase, safety, prefer }: Circumstances): WayOut[] {
  const ways: WayOut[] = [];
  const begun = looks.some(({ state }) => state?.moved !== 'nothing');
  if (phase === 'committing' && begun && looks.every(canFinish)) ways.push('finish');
  if (looks.every((look) => canUndo(look, safety))) ways.push('undo');
  return prefer === 'undo' ? ways.reverse() : ways;
}

/** A component that cannot tell is restored once more. */
function canFinish({ state }: Look): boolean {
  return state === undefined || state.moved === 'all' || !state.finishLoses;
}

function canUndo({ swap, state }: Look, safety: boolean): boolean {
  if (state === undefined) return safety;
  if (state.moved === 'nothing') return true;
  return !state.undoLoses && (safety || swap.ticket?.inPlace !== true);
}
