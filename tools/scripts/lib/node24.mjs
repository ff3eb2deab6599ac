import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { Failure } from './fail.mjs';
import { BIN } from './paths.mjs';

const WANTED = 24;

/**
 * The Node.js that everything but these scripts runs on: the one that npm installed with the project, else this very one
 * when it is new enough. Native modules crash silently on an older one, so there is no third choice.
 */
export function node24() {
  const bundled = path.join(BIN, 'node');
  if (existsSync(bundled) && majorOf(bundled) >= WANTED) return bundled;
  if (existsSync(process.execPath) && Number.parseInt(process.versions.node, 10) >= WANTED) return process.execPath;
  throw new Failure(
    `Node.js ${WANTED} is needed and the project brings it only for 64-bit Linux with glibc (x64 and arm64); ` +
      `this is ${process.platform} ${process.arch}, Node.js ${process.version}.\n` +
      `Install Node.js ${WANTED} (https://nodejs.org/en/download), then run the same command again.`,
    2,
  );
}

function majorOf(executable) {
  const { status, stdout } = spawnSync(executable, ['--version'], { encoding: 'utf8' });
  return status === 0 ? Number.parseInt(stdout.replace(/^v/, ''), 10) : 0;
}
