/** Types only, for code that runs in a browser: importing this file loads nothing. */
export type { ErrorCode, RunCommand, RunEvent, RunStatus, SerializedError } from '@foodsave-backup/kernel';
export type { ComponentSpec } from './config/components.ts';
export type { BackupConfig } from './config/parse.ts';
export type { LogLevel } from './config/rules.ts';
export type { RetentionConfig, SchedulesConfig } from './config/sections.ts';
export type {
  CheckRequest,
  CleanupRequest,
  CreateRequest,
  DownloadRequest,
  ImportRequest,
  ListRequest,
  RestoreRequest,
  RunListRequest,
  TreeRequest,
  UndoRequest,
  VerifyRequest,
} from './requests/requests.ts';
export type * from './responses/backup.ts';
export type { Problem, ProblemItem } from './responses/problem.ts';
export type * from './responses/results.ts';
export type * from './responses/run.ts';
