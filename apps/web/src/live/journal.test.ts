import { expect, it } from 'vitest';
import { parseMessage } from './journal.ts';

it('reads the event of a message, and nothing from settings and comments', () => {
  expect(parseMessage('id: 3\ndata: {"seq":3}')).toEqual([{ seq: 3 }]);
  expect(parseMessage('retry: 2000')).toEqual([]);
  expect(parseMessage(': still here')).toEqual([]);
});
