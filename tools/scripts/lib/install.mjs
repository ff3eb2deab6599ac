import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { ensureCompilers } from './debian.mjs';
import { Failure } from './fail.mjs';
import { exclusively } from './lock.mjs';
import { inRoot } from './paths.mjs';
import { capture, excerpt, withoutBin } from './process.mjs';
import { withHeartbeat } from './progress.mjs';

const LOCK = inRoot('package-lock.json');
const STAMP = inRoot('node_modules', '.foodsave-install.json');
/** npm writes it when an installation is complete, and only then. */
const INSTALLED = inRoot('node_modules', '.package-lock.json');

// audit and fund: nobody asked. SCARF_ANALYTICS: a dependency's install script would phone home. loglevel=error hides
// EBADENGINE warnings, which only mean that npm itself runs on the machine's Node.js rather than on the project's.
const NPM_FLAGS = [
  '--no-audit',
  '--no-fund',
  '--no-progress',
  '--loglevel=error',
  '--include=dev',
  '--include=optional',
];

/** Installs the dependencies unless exactly these are installed; repeats an installation that was interrupted. */
export async function ensureInstalled({ compilers = 'wanted' } = {}) {
  const upToDate = () => {
    const wanted = fingerprint();
    return wanted !== undefined && isInstalled(wanted);
  };
  if (upToDate()) return;
  await exclusively(async () => {
    if (!upToDate()) await install(compilers); // another process may just have done it
  });
}

async function install(compilers) {
  rmSync(STAMP, { force: true });
  await ensureCompilers({ required: compilers === 'required' });

  const command = fingerprint() === undefined ? 'install' : 'ci';
  console.error(
    'Installing the dependencies (once; about a minute). Where no ready-made SQLite module can be downloaded, ' +
      'one is compiled, which takes about 80 seconds more.',
  );
  const env = withoutBin({ SCARF_ANALYTICS: 'false', NX_NO_CLOUD: 'true', ADBLOCK: '1', DISABLE_OPENCOLLECTIVE: '1' });
  const { code, output } = await withHeartbeat(`npm ${command}`, () => npm([command, ...NPM_FLAGS], env));
  if (code !== 0) {
    throw new Failure(
      `${excerpt(output, 40)}\n\nnpm ${command} failed (exit code ${code}). ` +
        'Check the network connection to the npm registry, then run the same command again. ' +
        'If it was compiling SQLite that failed: that needs g++, make and python3.',
    );
  }
  mkdirSync(inRoot('node_modules'), { recursive: true });
  writeFileSync(STAMP, `${JSON.stringify({ fingerprint: fingerprint() })}\n`);
}

async function npm(args, env) {
  try {
    return await capture('npm', args, { env });
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    throw new Failure('npm was not found. It comes with Node.js: https://nodejs.org/en/download', 2);
  }
}

/** What node_modules must have been made from; undefined without a lock file. */
function fingerprint() {
  const lock = readIfThere(LOCK);
  if (lock === undefined) return undefined;
  return createHash('sha256').update(lock).update(`\0${process.platform}\0${process.arch}`).digest('hex');
}

function isInstalled(wanted) {
  const stamp = readIfThere(STAMP);
  if (stamp !== undefined && readIfThere(INSTALLED) !== undefined) return parse(stamp)?.fingerprint === wanted;
  if (!installedByHand()) return false;
  writeFileSync(STAMP, `${JSON.stringify({ fingerprint: wanted })}\n`);
  return true;
}

/** Whether someone ran `npm ci` themselves: npm's own record then has each package of the lock file, at the same version. */
function installedByHand() {
  const locked = parse(readIfThere(LOCK) ?? '')?.packages;
  const installed = parse(readIfThere(INSTALLED) ?? '')?.packages;
  if (!locked || !installed) return false;
  return Object.entries(locked).every(([name, entry]) => {
    if (!name.includes('node_modules/')) return true;
    const found = installed[name];
    if (found === undefined) return entry.optional === true || entry.devOptional === true || entry.peer === true;
    return found.version === entry.version && found.integrity === entry.integrity;
  });
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readIfThere(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  }
}
