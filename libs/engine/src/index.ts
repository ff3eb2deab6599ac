export { Engine } from './engine.ts';
export { Run } from './run.ts';
export { RunManager, type Execute, type SubmitOptions } from './run-manager.ts';
export { CHECKSUMS_OFF } from './types.ts';
export type { HoldRequest } from './hold.ts';
export type { EngineKeys, KeyListView, KeySheet, NewKey } from './keys.ts';
export type { UnlockResult } from './unlock.ts';
export type { LeaseView, StoredKey } from '@foodsave-backup/repository';
export type * from './types.ts';
