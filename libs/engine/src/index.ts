export { Engine } from './engine.ts';
export { Run } from './run.ts';
export { RunManager, type Execute, type SubmitOptions } from './run-manager.ts';
export { CHECKSUMS_OFF } from './types.ts';
export type * from './types.ts';
