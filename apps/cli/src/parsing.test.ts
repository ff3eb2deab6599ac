import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { InvalidArgumentError } from 'commander';
import { describe, expect, it } from 'vitest';
import { run } from './cli.ts';
import { confirm } from './confirm.ts';
import { Interrupts } from './interrupts.ts';
import { wantsColor } from './io.ts';
import { limit, list, port, rate, repeated, subset } from './options.ts';

interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** Parses in this process; for what ends before a command runs. */
async function parse(...args: string[]): Promise<Ran> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const interrupts = new Interrupts(new EventEmitter(), () => undefined);
  const code = await run({ args, env: {}, cwd: '/', stdin: new PassThrough(), stdout, stderr }, interrupts);
  stdout.end();
  stderr.end();
  return { code, stdout: await text(stdout), stderr: await text(stderr) };
}

const COMMANDS = [
  'init',
  'create',
  'list',
  'show',
  'ls',
  'restore',
  'undo',
  'verify',
  'check',
  'cleanup',
  'delete',
  'hold',
  'unhold',
  'key',
  'unlock',
  'stats',
  'health',
  'serve',
];

describe('help', () => {
  it.each(COMMANDS)('of %s has its options, the global ones and examples', async (command) => {
    const { code, stdout, stderr } = await parse(command, '--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`Usage: foodsave-backup ${command}`);
    expect(stdout).toContain('--repository <dir|address>');
    expect(stdout).toMatch(new RegExp(`Examples:\\n {2}\\$ foodsave-backup ${command}`));
  });

  it('of the program names every command, the JSON output and the exit codes', async () => {
    const { stdout } = await parse('--help');
    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^ {2}${command}\\b`, 'm'));
    expect(stdout).toContain('"type":"result"');
    expect(stdout).toContain('12 wrong or missing key');
    expect((await parse('help', 'create')).stdout).toContain('--fail-on-partial');
  });

  it('has a version', async () => {
    const { code, stdout } = await parse('--version');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('usage errors', () => {
  it.each([
    [['creat'], "Unknown command 'creat'", 'Did you mean create?'],
    [['create', '--nam', 'x'], "Unknown option '--nam'", 'Did you mean --name?'],
    [['create', '--josn'], "Unknown option '--josn'", 'Did you mean --json?'],
    [['create', '--no-verfy'], "Unknown option '--no-verfy'", 'Did you mean --no-verify?'],
    [['restore'], "Missing required argument 'name'", 'foodsave-backup restore --help'],
    [['show', 'a', 'b'], 'Too many arguments', 'foodsave-backup show --help'],
    [['list', '--limit', '0'], 'a whole number from 1 to 500', 'foodsave-backup list --help'],
    [['list', '--status', 'bad'], 'Allowed choices are complete, partial, damaged', 'foodsave-backup list --help'],
    [['restore', 'x', '--target', 'd', '--in-place'], 'cannot be used with', 'foodsave-backup restore --help'],
    [['check', '--read-data', '--read-data-subset', '1/2'], 'cannot be used with', 'foodsave-backup check --help'],
    [['create', '--limit-read', '50'], 'bytes a second with their unit', 'foodsave-backup create --help'],
    [['create', '--name'], 'argument missing', 'foodsave-backup create --help'],
    [[], 'No command was given', 'foodsave-backup --help'],
  ])('%j', async (args, message, hint) => {
    const human = await parse(...args);
    expect(human).toMatchObject({ code: 2, stdout: '' });
    expect(human.stderr).toContain('Error [USAGE]: ');
    expect(human.stderr).toContain(message);
    expect(human.stderr).toContain(hint);
    const machine = await parse('--json', ...args);
    const { error } = JSON.parse(machine.stdout) as { error: { code: string; message: string; hint: string } };
    expect({ code: machine.code, error: error.code }).toEqual({ code: 2, error: 'USAGE' });
    expect(error.message).toContain(message);
  });
});

describe('option values', () => {
  it('are lists, with commas or repeated', () => {
    expect(list('database, files:main,', undefined)).toEqual(['database', 'files:main']);
    expect(list('config', ['database'])).toEqual(['database', 'config']);
    expect(repeated('with, comma', ['a'])).toEqual(['a', 'with, comma']);
    expect(() => list(' , ', undefined)).toThrow(InvalidArgumentError);
    expect(() => repeated(' ', undefined)).toThrow(InvalidArgumentError);
  });

  it('are numbers in their range', () => {
    expect([limit('1'), limit('500'), port('0'), port('65535')]).toEqual([1, 500, 0, 65_535]);
    for (const bad of ['', '0', '501', '-1', '1.5', '1e2', 'x']) expect(() => limit(bad)).toThrow(InvalidArgumentError);
    for (const bad of ['', '65536', '-1', '0x50']) expect(() => port(bad)).toThrow(InvalidArgumentError);
  });

  it('are rates', () => {
    expect([rate('50MB'), rate('800 kB/s')]).toEqual([50e6, 800e3]);
    for (const bad of ['', '50', '50Mb', '-1MB']) expect(() => rate(bad)).toThrow(InvalidArgumentError);
  });

  it('are a part of parts', () => {
    expect(subset('3/10')).toEqual({ n: 3, t: 10 });
    for (const bad of ['', '1', '0/3', '4/3', '1/2/3', 'a/b', '1/0'])
      expect(() => subset(bad)).toThrow(InvalidArgumentError);
  });
});

describe('colours', () => {
  it('need a terminal that can and nobody who objects', () => {
    const terminal = Object.assign(new PassThrough(), { isTTY: true });
    expect(wantsColor(terminal, {}, true)).toBe(true);
    expect(wantsColor(terminal, { NO_COLOR: '' }, true)).toBe(true);
    expect(wantsColor(terminal, { NO_COLOR: '0' }, true)).toBe(false);
    expect(wantsColor(terminal, { TERM: 'dumb' }, true)).toBe(false);
    expect(wantsColor(terminal, {}, false)).toBe(false);
    expect(wantsColor(new PassThrough(), {}, true)).toBe(false);
  });
});

describe('confirmation', () => {
  const ask = async (typed: string): Promise<void> => {
    const stdin = new PassThrough();
    stdin.end(typed);
    await confirm({ stdin, stderr: new PassThrough() }, 'Sure?');
  };

  it('is the word yes and nothing else', async () => {
    await ask('yes\n');
    await ask(' YES \n');
    for (const typed of ['y\n', 'no\n', '\n', '', 'yes please\n']) {
      await expect(ask(typed)).rejects.toMatchObject({ code: 'CANCELLED' });
    }
  });
});

describe('signals', () => {
  it('stop what can be stopped once, and end the process otherwise', async () => {
    const source = new EventEmitter();
    const heard: string[] = [];
    const interrupts = new Interrupts(source, () => heard.push('exit'));
    source.emit('SIGINT', 'SIGINT');
    await interrupts.stopping(
      (signal) => heard.push(`stop ${signal}`) > 0,
      async () => {
        source.emit('SIGTERM', 'SIGTERM');
        source.emit('SIGINT', 'SIGINT');
      },
    );
    await interrupts.stopping(
      () => false,
      async () => source.emit('SIGHUP', 'SIGHUP'),
    );
    interrupts.dispose();
    source.emit('SIGINT', 'SIGINT');
    expect(heard).toEqual(['exit', 'stop SIGTERM', 'exit', 'exit']);
  });
});
