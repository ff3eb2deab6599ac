import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const TESTS = [
  '**/*.test.ts',
  '**/*.test.tsx',
  '**/src/testing/**',
  '**/src/conformance/**',
  'libs/testing/**',
  '**/test/**',
  '**/e2e/**',
];

const TIME = [
  {
    selector: "MemberExpression[object.name='Date'][property.name='now']",
    message: 'Take a Clock (kernel) and call clock.now(), so that tests and drills can move the time.',
  },
  {
    selector: "NewExpression[callee.name='Date'][arguments.length=0], CallExpression[callee.name='Date']",
    message: 'Take a Clock (kernel): new Date(clock.now()).',
  },
  {
    selector:
      "MemberExpression[object.name='performance'][property.name='now'], MemberExpression[object.name='process'][property.name='hrtime']",
    message: 'Take a Clock (kernel) and call clock.monotonic().',
  },
  {
    selector:
      "NewExpression[callee.name='Promise'] > ArrowFunctionExpression > CallExpression[callee.name='setTimeout'][arguments.0.type='Identifier']",
    message: 'Wait with clock.sleep(ms, signal) of a Clock (kernel). Timers are for time-outs.',
  },
];

const ENVIRONMENT = [
  {
    selector: "MemberExpression[object.name='process'][property.name='env']",
    message: 'The environment is read once, by the composition root (runtime). Take what you need as a parameter.',
  },
];

const DTO_TYPES = [
  {
    selector:
      "ImportDeclaration[importKind='type'] ImportSpecifier[imported.name=/(Dto|Query|Body|Params)$/], ImportSpecifier[importKind='type'][imported.name=/(Dto|Query|Body|Params)$/]",
    message: 'A DTO imported as a type is not validated at run time: import the class.',
  },
];

const SLEEP_IMPORTS = {
  patterns: [
    {
      group: ['node:timers/promises', 'timers/promises'],
      message: 'Wait with clock.sleep(ms, signal) of a Clock (kernel).',
    },
  ],
};

/** `eslint-disable` must name its rules and, after `--`, give its reason. */
const explainedSuppressions = {
  meta: { type: 'problem', schema: [] },
  create: (context) => ({
    Program() {
      for (const comment of context.sourceCode.getAllComments()) {
        const text = comment.value.trim();
        if (!/^eslint-disable/.test(text)) continue;
        if (/^eslint-disable(-next-line|-line)?\s+[@a-z][^\s]*.*\s--\s+\S/.test(text)) continue;
        context.report({
          loc: comment.loc,
          message: 'Name the rules that are disabled and give the reason after "--".',
        });
      }
    },
  }),
};

const restrictSyntax = (...selectors) => ['error', ...selectors.flat()];

export default defineConfig(
  {
    ignores: [
      '**/dist/**',
      '**/node_modules/**',
      '.nx/**',
      'coverage/**',
      'demo/**',
      'tools/layers-fixture/**',
      '**/golden/**',
      '**/testdata/**',
    ],
  },
  {
    linterOptions: { reportUnusedDisableDirectives: 'error', reportUnusedInlineConfigs: 'error' },
    plugins: { local: { rules: { 'explained-suppressions': explainedSuppressions } } },
    rules: { 'local/explained-suppressions': 'error' },
  },
  js.configs.recommended,
  {
    rules: {
      eqeqeq: ['error', 'always'],
      'no-var': 'error',
      'prefer-const': 'error',
      'object-shorthand': 'error',
      'no-constructor-return': 'error',
      'no-promise-executor-return': 'off',
      'no-restricted-globals': ['error', 'event', 'name'],
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
    },
  },
  {
    files: ['**/*.ts', '**/*.tsx'],
    extends: [...tseslint.configs.strictTypeChecked, ...tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['*.ts', 'apps/web/*.ts'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      // An async method without await is how a synchronous implementation meets an asynchronous port.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
      '@typescript-eslint/class-literal-property-style': 'off',
      // The DTO classes describe shapes; a literal of that shape is one.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/no-empty-function': ['error', { allow: ['arrowFunctions', 'methods'] }],
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      '@typescript-eslint/no-floating-promises': ['error', { checkThenables: true }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', ignoreRestSiblings: true, ignoreUsingDeclarations: true },
      ],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/no-import-type-side-effects': 'error',
      // A decorated property needs its type written down: reflection reads the annotation, not the initial value.
      '@typescript-eslint/no-inferrable-types': ['error', { ignoreProperties: true }],
    },
  },
  {
    files: ['libs/**/*.ts', 'apps/api/**/*.ts', 'apps/cli/**/*.ts'],
    rules: {
      'no-restricted-syntax': restrictSyntax(TIME),
      'no-restricted-imports': ['error', SLEEP_IMPORTS],
    },
  },
  {
    files: ['libs/**/*.ts'],
    rules: { 'no-console': 'error', 'no-restricted-syntax': restrictSyntax(TIME, ENVIRONMENT) },
  },
  {
    files: ['libs/runtime/**/*.ts'],
    rules: { 'no-restricted-syntax': restrictSyntax(TIME) },
  },
  {
    files: ['**/*.controller.ts'],
    rules: { 'no-restricted-syntax': restrictSyntax(TIME, ENVIRONMENT, DTO_TYPES) },
  },
  {
    files: ['libs/kernel/src/clock.ts'],
    rules: { 'no-restricted-syntax': 'off', 'no-restricted-imports': 'off' },
  },
  {
    files: TESTS,
    rules: {
      'no-restricted-syntax': 'off',
      'no-restricted-imports': 'off',
      'no-console': 'off',
      // A describe block is a table of contents, not a function.
      'max-lines-per-function': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-dynamic-delete': 'off',
      '@typescript-eslint/explicit-module-boundary-types': 'off',
    },
  },
  {
    files: ['**/*.js', '**/*.mjs', '**/*.cjs'],
    languageOptions: {
      globals: Object.fromEntries(
        [
          'process',
          'console',
          'Buffer',
          'URL',
          'URLSearchParams',
          'fetch',
          'AbortController',
          'AbortSignal',
          'TextEncoder',
          'TextDecoder',
          'performance',
          'structuredClone',
          'setTimeout',
          'clearTimeout',
          'setInterval',
          'clearInterval',
          'setImmediate',
          'queueMicrotask',
        ].map((name) => [name, 'readonly']),
      ),
    },
  },
);
