import type * as contracts from '@foodsave-backup/contracts/types';
import type * as engine from '@foodsave-backup/engine';

type Assert<T extends true> = T;
type Fits<From, To> = [From] extends [To] ? true : false;

/**
 * What the engine answers is what crosses the wire: REST and `--json` print the engine's results as they are. A result
 * that its description does not cover does not compile.
 */
export type SameBodies = [
  Assert<Fits<engine.BackupView, contracts.Backup>>,
  Assert<Fits<engine.BackupPage, contracts.BackupPage>>,
  Assert<Fits<engine.TreeListing, contracts.TreeListing>>,
  Assert<Fits<engine.RestoreResult, contracts.RestoreResult>>,
  Assert<Fits<engine.ImportResult, contracts.ImportResult>>,
  Assert<Fits<engine.VerifyResult, contracts.VerifyResult>>,
  Assert<Fits<engine.CleanupResult, contracts.CleanupResult>>,
  Assert<Fits<engine.DeleteResult, contracts.DeleteResult>>,
  Assert<Fits<engine.CheckView, contracts.CheckResult>>,
  Assert<Fits<engine.StatsView, contracts.Stats>>,
  Assert<Fits<engine.RunView, contracts.Run>>,
];
