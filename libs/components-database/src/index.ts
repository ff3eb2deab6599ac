export type { DatabaseConfig, IntegrityLevel } from './config.ts';
export type { CaptureMethod } from './child/protocol.ts';
export { createDatabaseDriver, databaseDriver, type DatabaseDriverOptions } from './driver.ts';
