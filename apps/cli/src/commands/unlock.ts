import type { ExitCode } from '@foodsave-backup/contracts/codes';
import { ANSWERED, type App } from '../app.ts';
import { leasesText, unlockText } from '../render/guarding.ts';

export function unlock(app: App, options: { force?: boolean }): Promise<ExitCode> {
  return app.withEngine(async ({ engine }) => {
    const foreign = options.force === true ? (await engine.leases()).filter(({ state }) => state === 'elsewhere') : [];
    if (foreign.length > 0) {
      app.out.warn(
        `Removing locks that someone may still hold:\n${leasesText(foreign, app.now(), app.out.errorStyle)}`,
      );
    }
    // Only those that were shown: whoever came meanwhile keeps theirs.
    const result = await engine.unlock(foreign.map(({ id }) => id));
    return app.out.answer({
      body: result,
      human: (style) => unlockText(result, app.now(), style),
      exit: ANSWERED,
    });
  });
}
