// Puts what is used of class-validator and class-transformer into dist/validation.js, after tsc has written the rest.
import { join } from 'node:path';
import { rolldown } from 'rolldown';

const bundle = await rolldown({
  cwd: import.meta.dirname,
  input: join(import.meta.dirname, 'src/validation.ts'),
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
await bundle.write({ file: join(import.meta.dirname, 'dist/validation.js'), format: 'esm', sourcemap: false });
await bundle.close();
