import { describe, expect, it } from 'vitest';
import { Promptness } from './promptness.ts';

describe('whether a medium answers at once', () => {
  const medium = (): { at: (ms: number) => void; promptness: Promptness } => {
    const clock = { now: 1000 };
    return { at: (ms) => (clock.now = ms), promptness: new Promptness(() => clock.now) };
  };

  it('is not known before it has answered', () => {
    expect(medium().promptness.isPrompt).toBe(false);
  });

  it('is believed for a moment after a quick answer, so that others get their turn', async () => {
    const { at, promptness } = medium();
    expect(await promptness.pooled(() => Promise.resolve('answer'))).toBe('answer');
    expect(promptness.isPrompt).toBe(true);
    expect(promptness.inThread(() => 'again')).toBe('again');
    at(1019);
    expect(promptness.isPrompt).toBe(true);
    at(1020);
    expect(promptness.isPrompt).toBe(false);
  });

  it('is not believed after a slow answer, through the pool or in this thread, nor after a slow failure', async () => {
    for (const ask of [
      (m: ReturnType<typeof medium>) =>
        m.promptness.pooled(() =>
          Promise.resolve().then(() => {
            m.at(1010);
          }),
        ),
      (m: ReturnType<typeof medium>) => {
        m.promptness.inThread(() => {
          m.at(1010);
        });
        return Promise.resolve();
      },
      (m: ReturnType<typeof medium>) =>
        m.promptness
          .pooled(() => {
            m.at(1010);
            return Promise.reject(new Error('dead'));
          })
          .catch(() => undefined),
    ]) {
      const one = medium();
      await one.promptness.pooled(() => Promise.resolve());
      await ask(one);
      expect(one.promptness.isPrompt).toBe(false);
    }
  });
});
