import { mkdirSync, truncateSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { BackupError } from '@foodsave-backup/kernel';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MINIMAL, Workspace, shown } from './testing/workspace.ts';
import { parseYaml } from './yaml.ts';

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace();
});
afterEach(() => {
  workspace.remove();
});

async function refusal(text: string | Uint8Array): Promise<BackupError> {
  workspace.write('backup.yaml', text);
  const error = await workspace.refusal();
  expect(shown(error)).not.toContain('CANARY');
  return error;
}

describe('problems are told with their line, and without any value', () => {
  it.each<[string, string]>([
    ['retention:\n  daily: CANARY\n', 'line 2: retention.daily must be a whole number'],
    ['retention:\n  dialy: CANARY\n', 'line 2: retention.dialy is not a known key; did you mean "daily"?'],
    ['compnents: CANARY\n', 'line 1: compnents is not a known key; did you mean "components"?'],
    ['application: CANARY\napplication: b\n', 'line 2: application is written twice'],
    ['server:\n  port: 1\n  port: CANARY\n', 'line 3: port is written twice'],
    ['"CANARY value": 1\n"CANARY value": 2\n', 'line 2: a key is written twice'],
    ['server:\n\tport: CANARY\n', 'line 2: a tab is used'],
    ['server: { port: CANARY\n', 'a closing bracket or brace is missing'],
    ['server: "CANARY\n', 'a character is missing'],
    ['server: "\\q CANARY"\n', 'line 1: a text in double quotes has an escape'],
    ['server: @CANARY\n', 'line 1: a value starts with a reserved character'],
    ['application: CANARY: b\n', 'line 1: a key has a nested mapping'],
    ['application: !CANARY b\n', 'line 1: a value has a tag'],
    ['application: !!binary Q0FOQVJZ\n', 'line 1: application must be a text'],
    ['application: *CANARY\n', 'line 1: an alias'],
    ['1: CANARY\n', 'line 1: 1 is not a known key'],
    ['{ a: b }: CANARY\n', 'line 1: a key is not a text'],
    ['application: a\n---\napplication: CANARY\n', 'several documents'],
    ['- CANARY\n', 'must be a mapping'],
    ['CANARY\n', 'must be a mapping'],
    ['a: &a [*a]\n', 'line 1: an alias (*) refers to what it is part of'],
    ['a: *CANARY\nb: &CANARY 1\n', 'line 1: an alias'],
    [`${MINIMAL}plugins:\n  - ./x\n  - 7\n`, 'line 2: plugins must be a list'],
    [`${MINIMAL}encryption:\n  enabled: CANARY\n`, 'line 3: encryption.enabled must be true or false'],
    [`x: &x { daily: CANARY }\n${MINIMAL}retention: *x\n`, 'retention.daily must be a whole number'],
    ['components: { CANARY-CANARY-CANARY-CANARY-CANARY-CANARY }\n', 'components.(a key)'],
  ])('%j', async (text, reason) => {
    expect((await refusal(text)).message).toContain(reason);
  });

  it('a problem comes with an example', async () => {
    const error = await refusal(`${MINIMAL}retention: { daily: no }\n`);
    expect(error.message).toContain('backup.yaml, line 2: retention.daily');
    expect(error.hint).toContain('Example: daily: 7');
    expect(error.details).toMatchObject({ problems: [{ key: 'retention.daily', line: 2, example: 'daily: 7' }] });
  });

  it('many problems are counted and cut short', async () => {
    const error = await refusal(MINIMAL + Array.from({ length: 30 }, (_, i) => `zz${String(i)}: 1`).join('\n'));
    expect(error.message).toContain('30 problems');
    expect(error.message).toContain('and 20 more');
  });
});

describe('what is no configuration file', () => {
  it.each<[string, string | Uint8Array, string]>([
    ['an empty one', '', 'is empty'],
    ['comments alone', '# nothing\n\n---\n', 'is empty'],
    ['a BOM alone', '\u{feff}', 'is empty'],
    ['UTF-16', new Uint8Array([0xff, 0xfe, 0x61, 0]), 'not UTF-8'],
    ['Latin-1', new Uint8Array([0x61, 0x3a, 0x20, 0xe9]), 'not UTF-8'],
    ['a binary', 'application: a\0b', 'binary'],
  ])('%s', async (_name, content, reason) => {
    expect((await refusal(content)).message).toContain(reason);
  });

  it('a directory, a pipe, one over a mebibyte', async () => {
    mkdirSync(workspace.path('backup.yaml'));
    expect((await workspace.refusal()).message).toContain('is a directory');
    execFileSync('mkfifo', [workspace.path('pipe')]);
    expect((await workspace.refusal({ configPath: 'pipe' })).message).toContain('not a regular file');
    truncateSync(workspace.write('large.yaml', 'a'), 1024 * 1024 + 1);
    expect((await workspace.refusal({ configPath: 'large.yaml' })).message).toContain('larger than 1048576 bytes');
    expect((await workspace.refusal({ configPath: 'large.yaml/x' })).message).toContain('does not exist');
    expect((await workspace.refusal({ configPath: 'a\0b' })).message).toContain('not a possible path');
    expect((await workspace.refusal({ configPath: 'x'.repeat(5000) })).message).toContain('not a possible path');
  });

  it('but a BOM, CRLF, quotes and comments are fine', async () => {
    workspace.write('backup.yaml', `\u{feff}# ours\r\napplication: 'Łódź 7' # yes\r\n${MINIMAL.replace('\n', '\r\n')}`);
    expect((await workspace.load()).application).toBe('Łódź 7');
  });

  it('and so are a few anchors and aliases', async () => {
    workspace.write('backup.yaml', 'components:\n  files:\n    a: &one { include: [data] }\n    b: *one\n');
    expect((await workspace.load()).components.map((one) => one.instance)).toEqual(['files:a', 'files:b']);
  });
});

describe('hostile texts end in an error', () => {
  const bomb = Array.from({ length: 9 }, (_, i) => {
    const alias = i === 0 ? '"x"' : `*l${String(i - 1)}`;
    return `l${String(i)}: &l${String(i)} [${Array.from({ length: 9 }, () => alias).join(', ')}]`;
  });
  it.each<[string, string]>([
    ['an alias bomb', bomb.join('\n')],
    ['101 aliases', `a: &a 1\nb: [${Array.from({ length: 101 }, () => '*a').join(', ')}]`],
    ['brackets', '['.repeat(1024 * 1024)],
    ['brackets on many lines', '[[[[[[\n'.repeat(19_000)],
    ['dashes', '- '.repeat(30_000)],
    ['question marks', '? '.repeat(30_000)],
    ['tags', '! '.repeat(30_000)],
    ['many lines', '\n'.repeat(1024 * 1024)],
    ['many keys', Array.from({ length: 19_000 }, (_, i) => `key${String(i)}: 1`).join('\n')],
    ['deep indentation', Array.from({ length: 1400 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
    ['an unknown YAML version', '%YAML 9.9\n---\napplication: a\n'],
  ])('%s', async (_name, text) => {
    await refusal(text);
  });

  it('random garbage is refused as a configuration, or is one', async () => {
    const token = fc.constantFrom(
      ...[
        'application',
        'components',
        'database',
        'path',
        'retention',
        'daily',
        'CANARY',
        '"',
        "'",
        ':',
        ': ',
        '- ',
        '\n',
        '\n  ',
      ],
      ...[
        '\t',
        '{',
        '}',
        '[',
        ']',
        ',',
        '&a ',
        '*a',
        '!',
        '!!map',
        '|',
        '>',
        '#',
        '%',
        '---\n',
        '? ',
        '<<',
        '~',
        '0x1f',
        '.inf',
        '\u{fffe}',
      ],
    );
    const text = fc.array(fc.oneof(token, fc.string({ maxLength: 6 }), fc.string({ unit: 'binary', maxLength: 3 })), {
      maxLength: 40,
    });
    await fc.assert(
      fc.asyncProperty(text, async (parts) => {
        workspace.write('backup.yaml', parts.join(''));
        try {
          await workspace.load();
        } catch (error) {
          if (!(error instanceof BackupError)) throw error;
          expect(error.code).toBe('CONFIG_INVALID');
        }
      }),
      { numRuns: 400 },
    );
  });

  it('a secret among garbage is never repeated', () => {
    const noise = fc.string({ unit: fc.constantFrom(...Array.from('ab:{}[]&*!|>\'"%@`#,- \n\t?')), maxLength: 30 });
    fc.assert(
      fc.property(noise, noise, (before, after) => {
        try {
          parseYaml(`${before}CANARY-CANARY-CANARY-CANARY-CANARY${after}`, 'backup.yaml');
        } catch (error) {
          if (!(error instanceof BackupError)) throw error;
          expect(shown(error)).not.toContain('CANARY');
        }
      }),
      { numRuns: 3000 },
    );
  });
});
