// Starts the generator of the sample application (examples/foodsave) under the project's own Node.js, whatever version
// runs this file: npm scripts may be started by a Node.js that can neither strip types nor load the native modules.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const brought = join(root, 'node_modules', '.bin', 'node');
const ownMajor = Number(process.versions.node.split('.')[0]);
const node = existsSync(brought) ? brought : ownMajor >= 24 ? process.execPath : undefined;
const source = join(root, 'examples', 'foodsave', 'src', 'sample', 'cli.ts');
const built = join(root, 'examples', 'foodsave', 'dist', 'sample', 'cli.js');
const entry = [source, built].find((file) => existsSync(file));

if (node === undefined || entry === undefined || !existsSync(join(root, 'node_modules', 'better-sqlite3'))) {
  console.error('sample: the packages of this project are not installed');
  console.error(`  run "npm ci" in ${root} first (or start this with Node.js 24)`);
  process.exit(2);
}

// npm changes into the project's root; a relative directory means the one where the person typed it.
const cwd = process.env.npm_lifecycle_event === 'sample' ? (process.env.INIT_CWD ?? process.cwd()) : process.cwd();
const child = spawn(node, [entry, ...process.argv.slice(2)], { stdio: 'inherit', cwd });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => {
  console.error(`sample: ${node} could not be started: ${error.message}`);
  process.exitCode = 1;
});
child.on('exit', (code, signal) => {
  process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1);
});
