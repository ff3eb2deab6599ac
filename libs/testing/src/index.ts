export { SimulatedClock } from './clock.ts';
export type { SimulatedClockOptions } from './clock.ts';
export { tempDir, withTempDir } from './temp.ts';
export type { TempDir } from './temp.ts';
export { compareTrees } from './compare-trees.ts';
export type { CompareTreesOptions, TreeDifference, TreeProperty } from './compare-trees.ts';
export { CrashStorage } from './crash-storage.ts';
export type { CrashPlan } from './crash-storage.ts';
