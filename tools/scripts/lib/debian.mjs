import { Failure } from './fail.mjs';
import { capture, excerpt } from './process.mjs';
import { withHeartbeat } from './progress.mjs';

/** What the tests compare with or drive: real FAISS, system call faults, SQLite's own shell, a browser, real archivers. */
const PACKAGES = ['python3-faiss', 'strace', 'sqlite3', 'chromium', 'unzip', 'zip'];

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
