import type { StorageBackend } from '../port.ts';

/** An empty medium of its own for one test. */
export interface ConformanceMedium {
  backend: StorageBackend;
  /** Another door to the same medium, as a second process has one. By default the same one. */
  reopen?: () => Promise<StorageBackend>;
  /** Removes the medium. */
  dispose?: () => Promise<void>;
}

/** What the suite for one backend needs of its surroundings while a test runs. */
export interface Subject {
  readonly backend: StorageBackend;
  readonly medium: ConformanceMedium;
}
