import { BackupError, isoTime, printable, systemErrorCode, throwIfCancelled } from '@foodsave-backup/kernel';
import { ConfigReader } from './config.ts';
import { defineComponent } from './define.ts';
import { parentEntries } from './fs/directories.ts';
import { patternFilter } from './fs/patterns.ts';
import { metaOf, openFile } from './fs/read.ts';
import { openFsRestore } from './fs/restore.ts';
import { TreeWalk } from './fs/walk.ts';
import { hashFile } from './fs/write-file.ts';
import { layoutPath, livePath } from './layout.ts';
import { compareLayoutPaths, decodeName, encodeName, fsPath } from './names.ts';

/** What a plugin that exports a function is given, so that it needs no import of this software. */
export const componentApi = Object.freeze({
  BackupError,
  ConfigReader,
  TreeWalk,
  compareLayoutPaths,
  decodeName,
  defineComponent,
  encodeName,
  fsPath,
  hashFile,
  isoTime,
  layoutPath,
  livePath,
  metaOf,
  openFile,
  openFsRestore,
  parentEntries,
  patternFilter,
  printable,
  systemErrorCode,
  throwIfCancelled,
});

export type ComponentApi = typeof componentApi;
