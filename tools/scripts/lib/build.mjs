import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Failure } from './fail.mjs';
import { exclusively } from './lock.mjs';
import { node24 } from './node24.mjs';
import { inRoot, ROOT, SETUP_DIR } from './paths.mjs';
import { capture, excerpt, stream, withBin } from './process.mjs';
import { withHeartbeat } from './progress.mjs';

const STAMP = path.join(SETUP_DIR, 'build.json');
const SOURCES = ['libs', 'apps', 'tools/recover', 'examples'];
const SHARED = [
  'package.json',
  'package-lock.json',
  'nx.json',
  'tsconfig.base.json',
  'tools/scripts/bundle.mjs',
  'tools/scripts/bundle-validation.mjs',
];
const NOT_SOURCES = new Set(['node_modules', 'dist', '.nx', 'coverage']);

/**
 * Builds what changed. `quiet` shows a heartbeat instead of the build's output, and the output only when it fails.
 * Nothing is started when no source has changed since the last build: a second `npm start` waits for nothing.
 */
export async function ensureBuilt({ quiet = true } = {}) {
  if (isBuilt(sourceFingerprint())) {
    if (!quiet) console.error('Nothing has changed since the last build.');
    return;
  }
  await exclusively(async () => {
    const fingerprint = sourceFingerprint();
    if (isBuilt(fingerprint)) return; // another process has just done it
    await build(quiet);
    mkdirSync(SETUP_DIR, { recursive: true });
    writeFileSync(STAMP, `${JSON.stringify({ fingerprint })}\n`);
  });
}

async function build(quiet) {
  const args = [
    inRoot('node_modules', 'nx', 'dist', 'bin', 'nx.js'),
    'run-many',
    '-t',
    'build',
    '--outputStyle=static',
  ];
  // NX_DAEMON: no process stays behind. NX_TUI: plain lines. NX_NO_CLOUD: nothing leaves the machine. npm_config_loglevel:
  // npm's own warnings would hide the compiler's messages.
  const env = withBin({ NX_DAEMON: 'false', NX_TUI: 'false', NX_NO_CLOUD: 'true', npm_config_loglevel: 'error' });
  const node = node24();
  if (!quiet) {
    const code = await stream(node, args, { env });
    if (code !== 0) throw new Failure(`The build failed (exit code ${code}).`);
    return;
  }
  const { code, output } = await withHeartbeat('Building', () => capture(node, args, { env }));
  if (code !== 0) throw new Failure(`${excerpt(output, 120)}\n\nThe build failed (exit code ${code}).`);
}

const isBuilt = (fingerprint) => fingerprint === lastFingerprint() && everyDistExists();

/** A hash over path, size and modification time of every source: some thousand `stat` calls, no reading. */
function sourceFingerprint() {
  const hash = createHash('sha256');
  for (const file of SHARED) add(hash, inRoot(file));
  for (const folder of SOURCES) walk(hash, inRoot(folder));
  return hash.digest('hex');
}

function walk(hash, folder) {
  if (!existsSync(folder)) return;
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    if (NOT_SOURCES.has(entry.name)) continue;
    const full = path.join(folder, entry.name);
    if (entry.isDirectory()) walk(hash, full);
    else if (entry.isFile() && !entry.name.endsWith('.test.ts')) add(hash, full);
  }
}

function add(hash, file) {
  const stat = statSync(file, { throwIfNoEntry: false });
  hash.update(`${path.relative(ROOT, file)}\0${stat?.size ?? ''}\0${stat?.mtimeMs ?? ''}\n`);
}

function lastFingerprint() {
  try {
    return JSON.parse(readFileSync(STAMP, 'utf8')).fingerprint;
  } catch {
    return undefined; // never built, or half written: build
  }
}

function everyDistExists() {
  const packages = SOURCES.flatMap((folder) => {
    const full = inRoot(folder);
    if (!existsSync(full)) return [];
    return existsSync(path.join(full, 'package.json'))
      ? [full]
      : readdirSync(full).map((name) => path.join(full, name));
  });
  return packages.every((folder) => {
    const manifest = path.join(folder, 'package.json');
    if (!existsSync(manifest)) return true;
    const { scripts } = JSON.parse(readFileSync(manifest, 'utf8'));
    return scripts?.build === undefined || existsSync(path.join(folder, 'dist'));
  });
}
