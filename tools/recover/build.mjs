// Bundles src/ into dist/recover.mjs, one readable file with no dependencies. The same sources give the same bytes,
// wherever and whenever they are built: the file's SHA-256 is printed on key sheets.
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';

const HERE = import.meta.dirname;
const BANNER = `#!/usr/bin/env node
/*!
 * recover.mjs: reads a FoodSave Backup repository without the software that wrote it.
 *
 *   node recover.mjs list | verify NAME | restore NAME DIR     (--help tells more)
 *
 * It needs Node.js 22.15 or newer and nothing else, and it never writes to the repository. It was written from the
 * description of the format (FORMAT.md) and shares no code with the software. License: MIT.
 */`;

/** The text of recover.mjs. */
async function bundle() {
  const build = await rolldown({
    cwd: HERE,
    input: join(HERE, 'src/main.ts'),
    platform: 'node',
    external: [/^node:/],
    // Node 16 can still read this syntax, and so can be told that it is too old.
    transform: { target: 'es2022' },
    tsconfig: false,
    onLog: (level, log) => {
      if (level !== 'debug') throw new Error(log.message);
    },
  });
  const { output } = await build.generate({ format: 'esm', minify: false, banner: BANNER, sourcemap: false });
  await build.close();
  const [chunk, ...rest] = output;
  if (rest.length > 0) throw new Error('recover.mjs must be one file');
  const foreign = chunk.imports.filter((name) => !name.startsWith('node:'));
  if (foreign.length > 0) throw new Error(`recover.mjs must not import ${foreign.join(', ')}`);
  return chunk.code;
}

/** Writes recover.mjs to `directory`, and returns its path and SHA-256. */
export async function build(directory = join(HERE, 'dist')) {
  const code = await bundle();
  const path = join(directory, 'recover.mjs');
  await mkdir(directory, { recursive: true });
  const before = await readFile(path, 'utf8').catch(() => undefined);
  if (before !== code) {
    await writeFile(`${path}.${process.pid}`, code);
    await rename(`${path}.${process.pid}`, path);
  }
  return { path, sha256: createHash('sha256').update(code).digest('hex') };
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { path, sha256 } = await build(process.argv[2]);
  console.log(`${sha256}  ${path}`);
}
