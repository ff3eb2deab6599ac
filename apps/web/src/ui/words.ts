import type { RunCommand } from '@foodsave-backup/contracts/types';
import type { MessageKey } from '../i18n/catalogue.ts';
import type { I18n } from '../i18n/i18n.ts';

const COMPONENTS: Readonly<Partial<Record<string, MessageKey>>> = {
  database: 'componentDatabase',
  files: 'componentFiles',
  config: 'componentConfig',
  vector_store: 'componentVectorStore',
};

const TRIGGERS: Readonly<Partial<Record<string, MessageKey>>> = {
  manual: 'triggerManual',
  schedule: 'triggerSchedule',
  safety: 'triggerSafety',
  deploy: 'triggerDeploy',
  'first-start': 'triggerFirst',
  import: 'triggerImport',
};

const COMMANDS: Readonly<Record<RunCommand, MessageKey>> = {
  init: 'commandInit',
  create: 'commandCreate',
  restore: 'commandRestore',
  verify: 'commandVerify',
  check: 'commandCheck',
  repair: 'commandRepair',
  cleanup: 'commandCleanup',
  delete: 'commandDelete',
  undo: 'commandUndo',
  export: 'commandExport',
  import: 'commandImport',
};

const PHASES: Readonly<Partial<Record<string, MessageKey>>> = {
  plan: 'phasePlan',
  capture: 'phaseCapture',
  verify: 'phaseVerify',
  structure: 'phaseStructure',
  restore: 'phaseRestore',
  export: 'phaseExport',
  import: 'phaseImport',
  safety: 'phaseSafety',
  stage: 'phaseStage',
  commit: 'phaseCommit',
  settle: 'phaseSettle',
  prune: 'phasePrune',
  check: 'phaseCheck',
  repair: 'phaseRepair',
};

const INDICATORS: Readonly<Partial<Record<string, MessageKey>>> = {
  repository: 'healthRepository',
  space: 'healthSpace',
  lastBackup: 'healthLastBackup',
  verification: 'healthVerification',
};

/** A word of ours, or the name itself where a plugin or a newer server brought it. */
function known(i18n: I18n, words: Readonly<Partial<Record<string, MessageKey>>>, name: string): string {
  const key = words[name];
  return key === undefined ? name : i18n.t(key);
}

/** `database:main` → “Database · main”; the instance is left out where it says nothing: `database:database`, `files`. */
export function componentName(i18n: I18n, instance: string): string {
  const [type = instance, name] = instance.split(':');
  const word = known(i18n, COMPONENTS, type);
  return name === undefined || name === type || name === 'main' || name === 'default' ? word : `${word} · ${name}`;
}

export const triggerWord = (i18n: I18n, trigger: string): string => known(i18n, TRIGGERS, trigger);
export const phaseWord = (i18n: I18n, phase: string): string => known(i18n, PHASES, phase);
export const indicatorWord = (i18n: I18n, indicator: string): string => known(i18n, INDICATORS, indicator);
export const commandWord = (i18n: I18n, command: RunCommand): string => i18n.t(COMMANDS[command]);
