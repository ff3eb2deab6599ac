// expect: no-cycles
export { back } from './goes-round-back.ts';
export const there = 1;
