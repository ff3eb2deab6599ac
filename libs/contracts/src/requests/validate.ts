import { BackupError, printable } from '@foodsave-backup/kernel';
import type { ErrorCode } from '@foodsave-backup/kernel';
import { plainToInstance } from '../validation.ts';
import type { ClassConstructor } from '../validation.ts';
import { validateSync } from '../validation.ts';
import { propertiesOf } from '../config/parse.ts';
import { closest } from '../config/suggest.ts';
import type { ProblemItem } from '../responses/problem.ts';
import type { RuleContext } from './rules.ts';

/**
 * The parameters of a request, from the query and the JSON body (and the path), as one checked instance of `cls`. Every
 * source may give any parameter; one that two sources give must be equal in both. Unknown parameters are refused.
 *
 * Throws VALIDATION_FAILED with `details.errors: ProblemItem[]`, or the more telling code of a rule (NAME_INVALID) when
 * that is all that is wrong. Values are never quoted.
 */
export function validateRequest<T extends object>(cls: ClassConstructor<T>, ...sources: readonly unknown[]): T {
  const problems: Problem[] = [];
  const known = propertiesOf(cls);
  const merged = merge(sources, known, problems);
  const instance = plainToInstance(cls, merged);
  for (const error of validateSync(instance, { forbidUnknownValues: true })) {
    const name = Object.keys(error.constraints ?? {})[0] ?? '';
    const context = error.contexts?.[name] as RuleContext | undefined;
    const reason = error.constraints?.[name] ?? 'is not valid';
    problems.push({
      code: context?.code,
      item: { parameter: error.property, reason, ...(context && { example: context.example }) },
    });
  }
  if (problems.length > 0) throw refusal(problems);
  // Class fields without a value would otherwise show up as keys.
  for (const key of known) {
    if (Reflect.get(instance, key) === undefined) Reflect.deleteProperty(instance, key);
  }
  return instance;
}

interface Problem {
  code: ErrorCode | undefined;
  item: ProblemItem;
}

const MAX_PROBLEMS = 20;

function merge(sources: readonly unknown[], known: readonly string[], problems: Problem[]): Record<string, unknown> {
  const merged = new Map<string, unknown>();
  for (const source of sources) {
    if (source === undefined || source === null) continue;
    if (typeof source !== 'object' || Array.isArray(source)) {
      problems.push({
        code: undefined,
        item: { parameter: '', reason: 'the body must be a JSON object', example: '{}' },
      });
      continue;
    }
    for (const [key, value] of Object.entries(source)) {
      // JSON's null means "not given", as everywhere in these requests.
      if (value === undefined || value === null) continue;
      if (!known.includes(key)) problems.push({ code: undefined, item: unknownParameter(key, known) });
      else if (merged.has(key) && JSON.stringify(merged.get(key)) !== JSON.stringify(value)) {
        const reason = 'is given twice with different values';
        problems.push({ code: undefined, item: { parameter: key, reason } });
      } else if (!isFlat(value)) {
        problems.push({
          code: undefined,
          item: { parameter: key, reason: 'must be a text, a number, true, false or a list' },
        });
      } else merged.set(key, value);
      if (problems.length >= MAX_PROBLEMS) return Object.fromEntries(merged);
    }
  }
  return Object.fromEntries(merged);
}

/** Scalars and lists of scalars: all that a parameter can be, and nothing that could upset a transformation. */
function isFlat(value: unknown): boolean {
  const scalar = (item: unknown): boolean => ['string', 'number', 'boolean'].includes(typeof item);
  return scalar(value) || (Array.isArray(value) && value.length <= 1000 && value.every(scalar));
}

function unknownParameter(key: string, known: readonly string[]): ProblemItem {
  const meant = closest(key, known);
  const takes = known.length === 0 ? 'there are no parameters' : `the parameters are ${known.join(', ')}`;
  const reason = `is not a parameter of this request; ${meant === undefined ? takes : `did you mean ${meant}?`}`;
  return { parameter: printable(key), reason };
}

function refusal(problems: readonly Problem[]): BackupError {
  const errors = problems.map((problem) => problem.item);
  const [first] = problems;
  const code = (problems.length === 1 ? first?.code : undefined) ?? 'VALIDATION_FAILED';
  const message = errors
    .slice(0, 5)
    .map((item) => `${item.parameter} ${item.reason}`.trim())
    .join('; ');
  const example = errors.find((item) => item.example !== undefined);
  return new BackupError(code, errors.length > 5 ? `${message}; and ${String(errors.length - 5)} more` : message, {
    hint:
      example?.example === undefined
        ? 'Take the parameter out or correct it; /api/docs lists what each request takes.'
        : `For example ${example.parameter}=${example.example}`,
    details: { errors },
  });
}
