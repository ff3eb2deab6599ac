// expect: no-cycles
export { there } from './goes-round.ts';
export const back = 1;
