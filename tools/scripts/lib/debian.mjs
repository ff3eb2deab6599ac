import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from './fail.mjs';
import { capture, excerpt } from './process.mjs';
import { withHeartbeat } from './progress.mjs';

/**
 * What the tests compare with or drive: real FAISS, system call faults, SQLite's own shell, a browser, real archivers, and the
 * tools for attributes, ACLs and immutable files.
 */
const PACKAGES = ['python3-faiss', 'strace', 'sqlite3', 'chromium', 'unzip', 'zip', 'attr', 'acl', 'e2fsprogs'];

/** What node-gyp needs to compile sqlite3, by command. */
const COMPILERS = { 'g++': 'g++', make: 'make', python3: 'python3' };

/**
 * Before an installation: compilers for `sqlite3`, where no ready-made module can be downloaded. Installed as root; otherwise
 * named, and `better-sqlite3`, which ships its binaries, stands in. Tests need both: `required`.
 */
export async function ensureCompilers({ required }) {
  const missing = Object.keys(COMPILERS).filter((command) => !isOnPath(command));
  if (missing.length === 0) return;
  const install = [
    'apt-get',
    'install',
    '-y',
    '--no-install-recommends',
    ...missing.map((command) => COMPILERS[command]),
  ];
  const byHand = `sudo apt-get update && sudo ${install.join(' ')}`;
  if (process.getuid?.() === 0 && isOnPath('apt-get')) {
    await asRoot('apt-get update', ['apt-get', 'update']);
    await asRoot(install.join(' '), install);
    return;
  }
  const what = `Compiling sqlite3 needs ${missing.join(', ')}.`;
  if (required) throw new Failure(`${what} Install them:\n  ${byHand}`);
  console.error(`${what} Without them better-sqlite3 reads the databases instead. To have them: ${byHand}`);
}

function isOnPath(command) {
  return (process.env.PATH ?? '')
    .split(':')
    .some((directory) => directory !== '' && existsSync(join(directory, command)));
}

/**
 * Makes sure of the Debian packages that tests need: installs missing ones as root, names them otherwise. With
 * `required: false` they are only mentioned, for a run of a few tests that may not need them.
 */
export async function ensureDebianPackages({ required }) {
  const missing = await missingPackages();
  if (missing.length === 0) return;
  const install = ['apt-get', 'install', '-y', '--no-install-recommends', ...missing];
  const byHand = `sudo apt-get update && sudo ${install.join(' ')}`;
  if (!required) {
    console.error(`Some tests need Debian packages that are missing: ${missing.join(', ')}\n  ${byHand}`);
    return;
  }
  if (process.getuid?.() !== 0) {
    throw new Failure(
      `The tests need Debian packages that are missing: ${missing.join(', ')}\nInstall them:\n  ${byHand}`,
    );
  }
  await asRoot('apt-get update', ['apt-get', 'update']);
  await asRoot(`apt-get install ${missing.join(' ')}`, install);
}

async function missingPackages() {
  let found;
  try {
    found = await capture('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\\n', ...PACKAGES]);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    console.error(`This is not Debian; the tests need what these Debian packages hold: ${PACKAGES.join(', ')}`);
    return [];
  }
  const installed = new Set(found.output.split('\n').filter((line) => line.endsWith(' installed')));
  return PACKAGES.filter((name) => !installed.has(`${name} installed`));
}

async function asRoot(title, [command, ...args]) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const { code, output } = await withHeartbeat(title, () => capture(command, args, { env }));
  if (code !== 0) throw new Failure(`${excerpt(output, 40)}\n\n${title} failed (exit code ${code}).`);
}
