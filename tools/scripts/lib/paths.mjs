import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout's root directory. */
export const ROOT = path.resolve(fileURLToPath(new URL('../../..', import.meta.url)));
export const BIN = path.join(ROOT, 'node_modules', '.bin');
/** What the scripts remember between two runs; may be deleted at any time. */
export const SETUP_DIR = path.join(ROOT, '.setup');

/** An absolute path inside the checkout. */
export const inRoot = (...parts) => path.join(ROOT, ...parts);
