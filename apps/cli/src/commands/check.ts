import type { ExitCode } from '@foodsave-backup/contracts/codes';
import type { CheckResult } from '@foodsave-backup/contracts/types';
import type { App } from '../app.ts';
import { checkText } from '../render/results.ts';

export function check(
  app: App,
  options: { readData?: boolean; readDataSubset?: { n: number; t: number } },
): Promise<ExitCode> {
  const { readData, readDataSubset: subset } = options;
  return app.withEngine(({ engine }) =>
    app.answerRun<CheckResult>(
      engine,
      {
        command: 'check',
        readData: readData === true || subset !== undefined,
        ...(subset === undefined ? {} : { subset }),
      },
      { human: (result) => (style) => checkText(result, style) },
    ),
  );
}
