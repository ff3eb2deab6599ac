import { setFlagsFromString } from 'node:v8';

/**
 * Lets V8 collect before its heap has grown by more than two fifths: an export of 100,000 files then stays below 300 MB
 * (acceptance/export.test.ts). For all of this process, hence only for one that does nothing else.
 */
export function collectEarly(): void {
  setFlagsFromString('--heap-growing-percent=40');
}
