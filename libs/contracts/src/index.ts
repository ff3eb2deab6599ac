import 'reflect-metadata';

export * from './codes.ts';
export * from './config/components.ts';
export * from './config/cron.ts';
export type { ConfigIssue, ConfigTree, ConfigValue } from './config/issues.ts';
export * from './config/parse.ts';
export { LOG_LEVELS, isHost, isTimeZone, parseBoolean, parseLogLevel, pathProblem } from './config/rules.ts';
export type { LogLevel } from './config/rules.ts';
export * from './config/sections.ts';
export { closest } from './config/suggest.ts';
export * from './requests/requests.ts';
export { validateRequest } from './requests/validate.ts';
export * from './responses/backup.ts';
export * from './responses/problem.ts';
export * from './responses/results.ts';
export * from './responses/run.ts';
