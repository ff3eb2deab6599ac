import { readFileSync } from 'node:fs';

// Dead files, exports and dependencies. The root package only pins versions: who uses a runtime dependency, and whether
// anyone does, is judged in the package that declares it.
const { dependencies } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'));
const startedByPath = ['dependency-cruiser', 'nx'];
// Read as text, to be run in the page under test.
const readAsText = ['axe-core'];
// Imported by a name that the compiler does not see, because it may not be there.
const optional = ['sqlite3'];

export default {
  ignoreBinaries: ['chattr', 'getfattr', 'mkfifo', 'script', 'setfattr', 'sha256sum', 'sqlite3', 'strace', 'unshare'],
  workspaces: {
    '.': {
      // A plugin is named in a configuration, not imported.
      entry: [
        'tools/scripts/*.{mjs,test.ts}',
        'acceptance/*.test.ts',
        'acceptance/testing/*.ts',
        'bench/src/{main,many-backups-main,*.test}.ts',
        'examples/custom-component/src/*.{mjs,test.ts}',
      ],
      project: [
        'tools/scripts/**/*.{mjs,ts}',
        'acceptance/**/*.ts',
        'bench/src/**/*.ts',
        'examples/custom-component/**/*.{mjs,ts}',
        '*.{js,mjs,ts}',
      ],
      ignoreDependencies: [...Object.keys(dependencies), ...startedByPath, ...readAsText, ...optional],
    },
    // main.ts: what is started as a process of its own.
    'libs/*': { entry: ['src/**/main.ts', 'src/**/*.test.ts', 'src/testing/**/*.ts'], project: ['src/**/*.ts'] },
    'libs/components-database': {
      entry: ['src/**/main.ts', 'src/**/*.test.ts', 'src/testing/**/*.ts'],
      project: ['src/**/*.ts'],
      ignoreDependencies: optional,
    },
    'apps/api': { entry: ['src/main.ts', 'src/**/*.test.ts', '*.{mjs,ts}'], project: ['src/**/*.ts'] },
    'apps/cli': { entry: ['src/main.ts', 'src/**/*.test.ts', '*.{mjs,ts}'], project: ['src/**/*.ts'] },
    'apps/web': { entry: ['src/main.tsx', 'src/**/*.test.{ts,tsx}'], project: ['src/**/*.{ts,tsx}'] },
    'tools/recover': {
      entry: ['src/main.ts', '{src,test}/**/*.test.ts', '*.{mjs,ts}'],
      project: ['{src,test}/**/*.ts'],
    },
    'examples/foodsave': {
      entry: ['src/main.ts', 'src/sample/cli.ts', 'src/**/*.test.ts', 'src/migrations/*.ts'],
      project: ['src/**/*.ts'],
    },
  },
};
