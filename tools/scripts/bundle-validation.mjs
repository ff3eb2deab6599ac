// A step of the build of libs/contracts: puts what is used of class-validator and class-transformer into dist/validation.js, after tsc has written the rest.
import { rolldown } from 'rolldown';
import { inRoot } from './lib/paths.mjs';

const bundle = await rolldown({
  cwd: inRoot('libs', 'contracts'),
  input: inRoot('libs', 'contracts', 'src', 'validation.ts'),
  platform: 'node',
  resolve: { mainFields: ['module', 'main'] },
  external: [/^node:/],
  tsconfig: false,
  onLog: (level, log) => {
    // class-transformer 0.5 does, in functions that are not used here.
    if (level === 'warn' && log.code === 'CIRCULAR_DEPENDENCY') return;
    if (level !== 'debug') throw new Error(log.message);
  },
});
await bundle.write({ file: inRoot('libs', 'contracts', 'dist', 'validation.js'), format: 'esm', sourcemap: false });
await bundle.close();
