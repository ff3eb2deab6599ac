import { EXIT, type ExitCode } from '@foodsave-backup/contracts/codes';
import type { CreateResult } from '@foodsave-backup/engine';
import type { App } from '../app.ts';
import type { RateOptions } from '../options.ts';
import { createdText } from '../render/backup.ts';

export interface CreateOptions extends RateOptions {
  name?: string;
  components?: string[];
  tag?: string[];
  /** `false` for --no-verify; else as configured. */
  verify: boolean;
  failOnPartial?: boolean;
  /** `false` for --no-encryption; else as configured. */
  encryption: boolean;
}

export function create(app: App, options: CreateOptions): Promise<ExitCode> {
  const { name, components, tag, verify, failOnPartial, encryption, ...rates } = options;
  return app.withEngine(
    ({ engine }) =>
      app.answerRun<CreateResult>(
        engine,
        {
          command: 'create',
          trigger: 'manual',
          ...(name === undefined ? {} : { name }),
          ...(components === undefined ? {} : { components }),
          ...(tag === undefined ? {} : { tags: tag }),
          ...(verify ? {} : { verify: false }),
          ...(encryption ? {} : { encryption: false }),
        },
        {
          body: ({ backup }) => backup,
          human:
            ({ backup }) =>
            (style) =>
              createdText(backup, app.now(), style),
          notes: (result) => result.notes,
          exit: (code) => (failOnPartial === true && code === EXIT.partial ? EXIT.failed : code),
        },
      ),
    rates,
  );
}
