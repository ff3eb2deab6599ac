import type { ComponentDriver } from '@foodsave-backup/component';
import { configDriver } from '@foodsave-backup/components-config';
import { databaseDriver } from '@foodsave-backup/components-database';
import { filesDriver } from '@foodsave-backup/components-files';
import { vectorStoreDrivers } from '@foodsave-backup/components-vector-store';

export const BUILT_IN_DRIVERS: readonly ComponentDriver[] = Object.freeze([
  databaseDriver,
  filesDriver,
  configDriver,
  ...Object.values(vectorStoreDrivers),
]);

/** The usual driver of each built-in type. */
const USUAL_DRIVER: Readonly<Record<string, string>> = {
  database: 'sqlite',
  files: 'directory',
  config: 'directory',
  vector_store: 'faiss',
};

/** The driver of a component that names none: the usual one of a built-in type, the only one of a custom type. */
export function usualDriver(type: string, custom: readonly ComponentDriver[]): string {
  const own = custom.filter((driver) => driver.type === type);
  return USUAL_DRIVER[type] ?? (own.length === 1 ? own[0]?.driver : undefined) ?? type;
}
