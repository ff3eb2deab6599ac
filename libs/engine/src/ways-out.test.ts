import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { waysOut, type Look } from './ways-out.ts';

const look: fc.Arbitrary<Look> = fc.record({
  swap: fc.record({
    instance: fc.constantFrom('database:main', 'files', 'config'),
    ticket: fc.record({ inPlace: fc.boolean() }),
  }),
  state: fc.option(
    fc.record({
      moved: fc.constantFrom('nothing' as const, 'some' as const, 'all' as const),
      finishLoses: fc.boolean(),
      undoLoses: fc.boolean(),
    }),
    { nil: undefined },
  ),
});
const circumstances = fc.record({
  phase: fc.constantFrom('committing' as const, 'undoing' as const),
  safety: fc.boolean(),
  prefer: fc.constantFrom('finish' as const, 'undo' as const, undefined),
});

describe('the ways out of an interrupted restore', () => {
  it('never lose what somebody wrote after it, and never need a safety backup that is not there', () => {
    fc.assert(
      fc.property(fc.array(look, { minLength: 1, maxLength: 4 }), circumstances, (looks, given) => {
        const ways = waysOut(looks, given);
        for (const { swap, state } of looks) {
          if (ways.includes('finish')) expect(state?.finishLoses === true && state.moved !== 'all').toBe(false);
          if (!ways.includes('undo')) continue;
          expect(state?.undoLoses === true && state.moved !== 'nothing').toBe(false);
          const needsSafety = state === undefined || (swap.ticket?.inPlace === true && state.moved !== 'nothing');
          expect(needsSafety && !given.safety).toBe(false);
        }
        if (given.phase === 'undoing') expect(ways).not.toContain('finish');
        expect(new Set(ways).size).toBe(ways.length);
      }),
    );
  });

  it('are both open when nobody has written since; what was asked for comes first', () => {
    const some: Look = {
      swap: { instance: 'files', ticket: {} },
      state: { moved: 'some', finishLoses: false, undoLoses: false },
    };
    const given = { phase: 'committing', safety: true } as const;
    expect(waysOut([some], { ...given, prefer: undefined })).toEqual(['finish', 'undo']);
    expect(waysOut([some], { ...given, prefer: 'undo' })).toEqual(['undo', 'finish']);
    const nothing: Look = { ...some, state: { moved: 'nothing', finishLoses: false, undoLoses: false } };
    expect(waysOut([nothing, nothing], { ...given, prefer: undefined })).toEqual(['undo']);
    expect(waysOut([nothing, some], { ...given, prefer: undefined })).toEqual(['finish', 'undo']);
  });
});
