import type { RunCommand } from '@foodsave-backup/contracts/types';
import type { ReactElement } from 'react';
import { useI18n } from '../i18n/context.tsx';
import { isFinished, type TrackedRun } from '../live/tracked-run.ts';
import { Icon } from '../ui/icons.tsx';
import { phaseWord } from '../ui/words.ts';

/** What a command goes through, where that is always the same. */
const USUAL: Readonly<Partial<Record<RunCommand, readonly string[]>>> = {
  create: ['capture', 'verify'],
  verify: ['structure', 'verify'],
  cleanup: ['plan', 'prune'],
};

interface PhaseStep {
  phase: string;
  state: 'done' | 'now' | 'next';
}

/** The phases that were seen, and those that are still to come. */
function phaseSteps({ run, phases }: TrackedRun): PhaseStep[] {
  const usual = USUAL[run.command] ?? [];
  const seen = [...new Set(phases)];
  const list = seen.every((phase) => usual.includes(phase)) ? usual : seen;
  const current = list.indexOf(phases.at(-1) ?? '');
  const ended = isFinished(run.status);
  return list
    .map((phase, index): PhaseStep => {
      if (index < current || (ended && index === current)) return { phase, state: 'done' };
      return { phase, state: index === current ? 'now' : 'next' };
    })
    .filter(({ state }) => !ended || state === 'done');
}

export function Phases({ tracked }: { tracked: TrackedRun }): ReactElement | null {
  const i18n = useI18n();
  const { t } = i18n;
  const steps = phaseSteps(tracked);
  if (steps.length === 0) return null;
  const words = { done: t('phaseDone'), now: t('phaseNow'), next: t('phaseNext') };
  return (
    <ol className="steps" aria-label={t('runPhases')}>
      {steps.map(({ phase, state }, index) => (
        <li
          key={phase}
          {...(state === 'now' ? { 'aria-current': 'step' as const } : {})}
          {...(state === 'done' ? { 'data-done': '' } : {})}
        >
          <span aria-hidden="true">{state === 'done' ? <Icon name="ok" /> : index + 1}</span>
          <span>
            {phaseWord(i18n, phase)}
            <span className="hidden-text"> ({words[state]})</span>
          </span>
        </li>
      ))}
    </ol>
  );
}
