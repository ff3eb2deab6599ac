import { BackupError } from '@foodsave-backup/kernel';

/** Something wrong with the configuration, ready to be shown. Texts never contain a value. */
export interface ConfigProblem {
  /** The key in backup.yaml, the environment variable or the option. Empty: the file as a whole. */
  key: string;
  reason: string;
  example?: string;
  suggestion?: string;
  /** Line in the file, from 1. */
  line?: number | undefined;
  /** What to do, where an example does not say it. */
  hint?: string;
}

const SHOWN = 10;

/** CONFIG_INVALID about one or several problems; `source` is the file they are in, if they are in one. */
export function configInvalid(source: string | undefined, problems: readonly ConfigProblem[]): BackupError {
  const [first] = problems;
  const lines = problems.slice(0, SHOWN).map((problem) => sentence(source, problem));
  if (problems.length > SHOWN) lines.push(`and ${String(problems.length - SHOWN)} more`);
  const message =
    lines.length === 1
      ? lines.join('')
      : `The configuration has ${String(problems.length)} problems:\n- ${lines.join('\n- ')}`;
  return new BackupError('CONFIG_INVALID', message, {
    hint: first === undefined ? 'Correct the configuration.' : advice(problems),
    details: { ...(source !== undefined && { source }), problems: problems.map(withoutHint) },
  });
}

function sentence(source: string | undefined, problem: ConfigProblem): string {
  const place =
    source === undefined
      ? ''
      : problem.line === undefined
        ? `${source}: `
        : `${source}, line ${String(problem.line)}: `;
  const subject = problem.key === '' ? '' : `${problem.key} `;
  const meant = problem.suggestion === undefined ? '' : `; did you mean "${problem.suggestion}"?`;
  return `${place}${subject}${problem.reason}${meant}`;
}

function advice(problems: readonly ConfigProblem[]): string {
  const hints = problems
    .slice(0, 3)
    .map((problem) => problem.hint ?? (problem.example && `Example: ${problem.example}`));
  const distinct = [...new Set(hints)].filter((hint) => hint !== undefined && hint !== '');
  return distinct.length === 0 ? 'Correct the configuration.' : distinct.join('\n');
}

function withoutHint(problem: ConfigProblem): Omit<ConfigProblem, 'hint'> {
  const { hint: _hint, ...rest } = problem;
  return rest;
}
