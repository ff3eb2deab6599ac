import { EXIT, type ExitCode } from '@foodsave-backup/contracts/codes';
import { ANSWERED, type App } from '../app.ts';
import { healthBody, healthText } from '../render/overview.ts';

export function health(app: App): Promise<ExitCode> {
  return app.ask(
    (engine) => engine.health(),
    (view) => ({
      body: healthBody(view),
      human: (style) => healthText(view, style),
      exit: view.status === 'ok' ? ANSWERED : EXIT.failed,
    }),
  );
}
