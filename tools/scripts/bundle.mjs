// A step of a package's build: `node bundle.mjs dist/main.js`, run in the package after tsc has written dist. Puts what the
// entry of a process imports into that file and a few in `chunks` beside it. Why: docs/decisions/bundles.md.
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { rolldown } from 'rolldown';
import { Failure, main } from './lib/fail.mjs';

/** They look for their binaries beside their own files. */
const NATIVE = ['koffi', 'sqlite3', 'better-sqlite3'];
const CHUNKS = 'chunks';
const MARK = 'bundle:';
/** As rolldown writes the import of a module of Node.js: `{ a, b as c }`, `* as d`, `e`, or `e, { a }`. */
const BUILTIN = /^import (?:(?:\* as )?([\w$]+)(?:, )?)?(?:\{([^}]*)\})? ?from "(node:[^"]+)";$/gm;

/** A module keeps the URL that it has by itself, so that what it finds relative to itself is found from the bundle as well. */
const keepUrls = (directory) => ({
  name: 'keep-urls',
  transform: {
    // Not rolldown's own modules.
    filter: { id: /^[^\0]/, code: 'import.meta.url' },
    handler: (code, id) => {
      const url = JSON.stringify(MARK + path.relative(directory, id).replaceAll(path.sep, '/'));
      return { code: code.replaceAll('import.meta.url', `new URL(${url}, import.meta.url).href`) };
    },
  },
  renderChunk: (code, chunk) => ({
    code: code.replaceAll(`new URL("${MARK}`, `new URL("${chunk.isEntry ? './' : '../'}`),
  }),
});

/** `import` reads every property of a module of Node.js, those that load something else when they are read as well. */
const lightBuiltins = {
  name: 'light-builtins',
  renderChunk: (code) => ({
    code: code.replaceAll(BUILTIN, (_, whole, names, id) => {
      const module = `globalThis.process.getBuiltinModule("${id}")`;
      const parts = [
        ...(whole === undefined ? [] : [`const ${whole} = ${module};`]),
        ...(names === undefined ? [] : [`const {${names.replaceAll(' as ', ': ')}} = ${module};`]),
      ];
      return parts.join(' ');
    }),
  }),
};

/** After the package, for its index: stack traces name the file. */
function chunkName({ name, moduleIds }) {
  const [, package_] = /\/(?:libs|node_modules)\/([^/]+)\/dist\/index\.js$/.exec(moduleIds.at(-1) ?? '') ?? [];
  return `${CHUNKS}/${package_ ?? name}.js`;
}

await main(async () => {
  const [entry] = process.argv.slice(2);
  if (entry === undefined) throw new Failure('Usage: bundle.mjs ENTRY', 2);
  const input = path.resolve(entry);
  const directory = path.dirname(input);
  const build = await rolldown({
    input,
    platform: 'node',
    external: [/^node:/, ...NATIVE],
    tsconfig: false,
    plugins: [keepUrls(directory), lightBuiltins],
    onLog: (level, log) => {
      if (level !== 'debug') throw new Error(log.message);
    },
  });
  await rm(path.join(directory, CHUNKS), { recursive: true, force: true });
  await build.write({
    dir: directory,
    format: 'esm',
    sourcemap: false,
    entryFileNames: path.basename(entry),
    chunkFileNames: chunkName,
    comments: { legal: true, annotation: false, jsdoc: false },
  });
  await build.close();
});
