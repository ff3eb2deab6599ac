// The layers of this project, as rules. `npm run lint` applies them to the sources, tests included; the fixtures in
// tools/layers-fixture prove that each of them bites. ARCHITECTURE.md and CONTRIBUTING.md say why they are as they are.

const SCOPE = '@foodsave-backup/';
const ANY = '.*';
const NETWORK = ['http', 'https', 'http2', 'net', 'tls', 'dgram', 'dns'];
const DRIVERS = ['components-database', 'components-files', 'components-config', 'components-vector-store'];
const VALIDATION = ['class-validator', 'class-transformer', 'reflect-metadata'];
const NEST = ['@nestjs/[^/]+', 'rxjs', 'reflect-metadata'];

/**
 * What each layer may import directly. `kernel` is open to all.
 * - libs: workspace packages · types: those of which only types may be imported
 * - npm: packages from the registry · core: Node's own modules (`without`: all but these)
 * - tests: workspace packages that only its tests may import, besides TEST_LIBS
 */
const LAYERS = [
  { layer: 'kernel', at: 'libs/kernel', core: ['crypto', 'util'] },
  { layer: 'contracts', at: 'libs/contracts', npm: VALIDATION },
  {
    layer: 'format',
    at: 'libs/format',
    core: ['assert', 'buffer', 'crypto', 'events', 'path', 'stream', 'string_decoder', 'util', 'zlib'],
  },
  { layer: 'storage', at: 'libs/storage', core: { without: NETWORK } },
  {
    layer: 'storage-s3',
    at: 'libs/storage-s3',
    libs: ['storage'],
    npm: ['@aws-sdk/[^/]+', '@smithy/[^/]+'],
    core: [ANY],
  },
  { layer: 'storage-sftp', at: 'libs/storage-sftp', libs: ['storage'], npm: ['ssh2', 'ssh2-sftp-client'], core: [ANY] },
  {
    layer: 'repository',
    at: 'libs/repository',
    libs: ['format', 'storage'],
    npm: ['koffi'],
    core: { without: NETWORK },
  },
  { layer: 'retention', at: 'libs/retention', core: [] },
  { layer: 'component', at: 'libs/component', npm: ['koffi'], core: { without: NETWORK } },
  {
    layer: 'archive',
    at: 'libs/archive',
    libs: ['component'],
    npm: ['jszip', 'tar-stream', 'yauzl', 'yazl'],
    core: { without: NETWORK },
  },
  {
    layer: 'components-database',
    at: 'libs/components-database',
    libs: ['component'],
    npm: ['sqlite3', 'better-sqlite3'],
    core: { without: NETWORK },
  },
  {
    layer: 'components-files',
    at: 'libs/components-files',
    libs: ['component'],
    npm: ['ignore'],
    core: { without: NETWORK },
  },
  {
    layer: 'components-config',
    at: 'libs/components-config',
    libs: ['component'],
    npm: ['ignore', 'yaml'],
    core: { without: NETWORK },
  },
  { layer: 'components-vector-store', at: 'libs/components-vector-store', libs: ['component'], core: [ANY] },
  {
    layer: 'engine',
    at: 'libs/engine',
    libs: ['repository', 'storage', 'retention', 'component', 'archive'],
    core: { without: NETWORK },
    tests: DRIVERS,
  },
  {
    layer: 'catalogue',
    at: 'libs/catalogue',
    npm: ['typeorm', 'better-sqlite3', 'reflect-metadata'],
    core: { without: NETWORK },
  },
  {
    layer: 'runtime',
    at: 'libs/runtime',
    libs: [
      'contracts',
      'format',
      'storage',
      'storage-s3',
      'storage-sftp',
      'repository',
      'retention',
      'component',
      ...DRIVERS,
      'engine',
      'catalogue',
    ],
    npm: [...VALIDATION, 'yaml'],
    core: [ANY],
  },
  {
    layer: 'backup-nest',
    at: 'libs/backup-nest',
    libs: ['runtime', 'catalogue', 'contracts'],
    types: ['engine'],
    npm: [...NEST, ...VALIDATION, 'express', 'pino', 'prom-client'],
    core: [ANY],
  },
  {
    layer: 'testing',
    at: 'libs/testing',
    libs: ['storage', 'component'],
    npm: ['better-sqlite3', 'rolldown'],
    core: [ANY],
  },
  {
    layer: 'api',
    at: 'apps/api',
    libs: ['backup-nest', 'contracts', 'runtime'],
    npm: [...NEST, 'express', 'pino', 'pino-http', 'nestjs-pino'],
    core: [ANY],
    tests: [ANY],
  },
  {
    layer: 'cli',
    at: 'apps/cli',
    libs: ['runtime', 'contracts'],
    types: ['engine'],
    npm: ['commander'],
    core: [ANY],
    tests: [ANY],
  },
  {
    layer: 'web',
    at: 'apps/web',
    types: ['contracts', 'kernel'],
    npm: ['react', 'react-dom', '@mantine/[^/]+', '@tanstack/[^/]+', 'recharts', 'i18next', 'react-i18next'],
    core: [],
  },
  { layer: 'recover', at: 'tools/recover', core: [ANY], withoutKernel: true, tests: [ANY] },
  {
    layer: 'scripts',
    at: 'tools/scripts',
    npm: ['rolldown', 'vite', 'typescript', 'playwright-core'],
    core: [ANY],
    withoutKernel: true,
    tests: [],
  },
  {
    layer: 'example',
    at: 'examples/foodsave',
    libs: ['backup-nest', 'component', 'contracts'],
    npm: [...NEST, ...VALIDATION, 'express', 'typeorm', 'better-sqlite3', 'yaml'],
    core: [ANY],
  },
  // A plugin is given what it needs of this software; a network is for components that talk to one.
  {
    layer: 'custom-component',
    at: 'examples/custom-component',
    core: { without: NETWORK },
    withoutKernel: true,
    tests: ['kernel'],
  },
];

/** What any test may import besides what its layer may: real storage, real SQLite, Node, the test tools. */
const TEST_LIBS = ['testing', 'storage', 'component'];
const TEST_NPM = [
  'vitest',
  'fast-check',
  'better-sqlite3',
  'sqlite3',
  'yaml',
  'express',
  'playwright-core',
  'axe-core',
  'reflect-metadata',
  '@nestjs/[^/]+',
  'typeorm',
  'dependency-cruiser',
  'typescript',
  'prettier',
];

const FIXTURE = '(tools/layers-fixture/)?';
// Tests, and the generator of OpenAPI metadata, which is no part of its library either.
const TEST_FILES = '(\\.test\\.tsx?$|/src/testing/|/test/|/e2e/|/backup-nest/tools/)';
// A conformance suite is part of a port's public interface and is written with vitest.
const CONFORMANCE_FILES = '/src/conformance/';

const inLibs = (names) => (names.length === 0 ? [] : [`^libs/(${names.join('|')})/`]);
const inNpm = (names) => (names.length === 0 ? [] : [`(^|/)node_modules/(@types/)?(${names.join('|')})/`]);
const coreModules = (names) => (names.length === 0 ? [] : [`^(node:)?(${names.join('|')})(/|$)`]);
/** dependency-cruiser refuses an empty list; nothing can match this one. */
const orNothing = (patterns) => (patterns.length === 0 ? ['^$'] : patterns);

function rulesOf({ layer, at, libs = [], types = [], npm = [], core = [], tests = [], withoutKernel = false }) {
  const own = `^${FIXTURE}${at}/`;
  const within = `^${FIXTURE}${at}(?=/)`;
  const open = withoutKernel || types.includes('kernel') ? libs : ['kernel', ...libs];
  const comment = `${at} may not import this: see "Layers" in CONTRIBUTING.md`;
  const allowedCore = Array.isArray(core)
    ? { pathNot: orNothing(coreModules(core)) }
    : { path: coreModules(core.without) };
  const rule = (name, from, to) => ({ name: `${layer}-${name}`, severity: 'error', comment, from, to });
  const sources = { path: own, pathNot: TEST_FILES };
  const testFiles = { path: `${within}.*${TEST_FILES}` };
  const rules = [
    rule(
      'imports',
      { path: own, pathNot: [TEST_FILES, CONFORMANCE_FILES] },
      {
        pathNot: [own, ...inLibs([...open, ...types]), ...inNpm(npm)],
        dependencyTypesNot: ['core'],
        couldNotResolve: false,
      },
    ),
    rule(
      'conformance-imports',
      { path: `${within}.*${CONFORMANCE_FILES}`, pathNot: TEST_FILES },
      {
        pathNot: [own, ...inLibs([...open, ...types]), ...inNpm([...npm, 'vitest'])],
        dependencyTypesNot: ['core'],
        couldNotResolve: false,
      },
    ),
    rule('node-modules', sources, { dependencyTypes: ['core'], ...allowedCore }),
    rule('test-imports', testFiles, {
      pathNot: [own, ...inLibs([...open, ...types, ...TEST_LIBS, ...tests]), ...inNpm([...npm, ...TEST_NPM])],
      dependencyTypesNot: ['core'],
      couldNotResolve: false,
    }),
  ];
  if (types.length > 0) {
    rules.push(rule('types-only', sources, { path: inLibs(types), dependencyTypesNot: ['type-only'] }));
  }
  return rules;
}

export const layers = LAYERS.map(({ layer, at }) => ({ layer, at }));

export default {
  forbidden: [
    ...LAYERS.flatMap(rulesOf),
    {
      name: 'no-unknown-layer',
      severity: 'error',
      comment: 'A package without a row in the table above: give it one',
      from: { path: '^(libs|apps|tools|examples)/', pathNot: LAYERS.map(({ at }) => `^${FIXTURE}${at}/`) },
      to: {},
    },
    {
      name: 'no-cycles',
      severity: 'error',
      comment: 'Modules that import each other, types included',
      // Entities with relations both ways name each other by design.
      from: { pathNot: '^examples/[^/]+/src/.*\\.entity\\.ts$' },
      to: { circular: true },
    },
    {
      name: 'no-unresolved',
      severity: 'error',
      comment: 'An import that leads nowhere: what cannot be resolved cannot be judged either',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-relative-import-of-a-package',
      severity: 'error',
      comment: `Another package is imported by its name (${SCOPE}…), never by a relative path into its folder`,
      from: { path: `^${FIXTURE}((libs|apps|tools|examples)/[^/]+)/` },
      to: { dependencyTypes: ['local'], dependencyTypesNot: ['aliased'], pathNot: `^${FIXTURE}$2/` },
    },
    {
      name: 'no-deprecated-node-modules',
      severity: 'error',
      comment: 'A module of Node.js that is deprecated',
      from: {},
      to: { dependencyTypes: ['core'], path: '^(punycode|domain|constants|sys|_linklist|_stream_wrap)$' },
    },
  ],
  options: {
    doNotFollow: { path: '(^|/)node_modules/' },
    exclude: { path: '(^|/)dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.check.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      // Workspace packages resolve to their sources: layers are judged on what was written, not on what was built.
      conditionNames: [`${SCOPE}source`, 'import', 'node', 'default', 'types'],
      extensions: ['.ts', '.tsx', '.mjs', '.js', '.json', '.d.ts', '.css'],
    },
  },
};
