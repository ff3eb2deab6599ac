import type { Run } from '@foodsave-backup/contracts/types';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useRef, useState } from 'react';
import { applySnapshot, type TrackedRun } from '../live/tracked-run.ts';
import { keys } from './keys.ts';

export interface Action<Input> {
  start: (input: Input) => void;
  /** Asked, and not answered yet. */
  pending: boolean;
  error: Error | null;
  reset: () => void;
}

/** Something that is asked of the server once, however often the button is pressed before it answers. */
export function useAction<Input, Answer>(
  ask: (input: Input) => Promise<Answer>,
  onSuccess?: (answer: Answer, input: Input) => void,
): Action<Input> {
  const busy = useRef(false);
  const mutation = useMutation({
    mutationFn: ask,
    onSuccess: (answer, input) => onSuccess?.(answer, input),
    onSettled: () => {
      busy.current = false;
    },
  });
  return {
    start: (input) => {
      // State changes with the next render only; a second click may come before it.
      if (busy.current) return;
      busy.current = true;
      mutation.mutate(input);
    },
    pending: mutation.isPending,
    error: mutation.error,
    reset: mutation.reset,
  };
}

export interface RunAction<Input> extends Action<Input> {
  /** The run that the last start became. */
  runId: string | undefined;
}

/** An action that becomes a run. */
export function useRunAction<Input>(
  ask: (input: Input) => Promise<Run>,
  onStarted?: (run: Run) => void,
): RunAction<Input> {
  const client = useQueryClient();
  const [runId, setRunId] = useState<string>();
  const action = useAction(ask, (run: Run) => {
    client.setQueryData<TrackedRun>(keys.run(run.id), (known) => applySnapshot(known, run, Date.now()));
    void client.invalidateQueries({ queryKey: keys.runs });
    setRunId(run.id);
    onStarted?.(run);
  });
  return { ...action, runId };
}
