import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as util from 'node:util';
import { EXIT, RecoverError } from './errors.ts';
import { list, restore, verify } from './commands.ts';
import type { Io, Options } from './io.ts';

const HELP = `Reads a FoodSave Backup repository without the software that wrote it.

  node recover.mjs list                 which backups there are
  node recover.mjs verify NAME          reads every byte of a backup and says what is damaged
  node recover.mjs restore NAME DIR     writes the files of a backup to DIR, which must be absent or empty

  --repository DIR   the repository; otherwise the directory of recover.mjs, or the current one
  --key-file FILE    the file that holds the key; otherwise BACKUP_ENCRYPTION_KEY, BACKUP_ENCRYPTION_KEY_FILE,
                     or a question on the terminal. "list" works without a key
  --keep-setuid      restores setuid and setgid bits, which are left out otherwise
  --json             one JSON document instead of text
  --verbose          more about an unexpected error
  --help             this text

It only reads the repository. What is damaged is listed and left out, and the rest is restored.
Exit codes: 0 all is well, 1 failed or damage found, 2 wrong usage, 10 no repository there, 12 wrong or no key.
`;

interface Arguments {
  readonly values: {
    readonly repository?: string | undefined;
    readonly 'key-file'?: string | undefined;
    readonly 'keep-setuid'?: boolean | undefined;
    readonly json?: boolean | undefined;
    readonly verbose?: boolean | undefined;
    readonly help?: boolean | undefined;
  };
  readonly positionals: string[];
}

/** Runs one command and returns the exit code. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  let verbose = argv.includes('--verbose');
  try {
    const { values, positionals } = parse(argv);
    verbose = values.verbose ?? false;
    if (values.help || positionals[0] === 'help') {
      io.out(HELP);
      return EXIT.ok;
    }
    const options: Options = {
      directory: findRepository(values.repository, io),
      keyFile: values['key-file'] === undefined ? undefined : resolve(io.cwd, values['key-file']),
      json: values.json ?? false,
      keepSetuid: values['keep-setuid'] ?? false,
    };
    return await dispatch(positionals, options, io);
  } catch (error) {
    return report(error, verbose, io);
  }
}

function parse(argv: readonly string[]): Arguments {
  try {
    return util.parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        repository: { type: 'string' },
        'key-file': { type: 'string' },
        'keep-setuid': { type: 'boolean' },
        json: { type: 'boolean' },
        verbose: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw usage(error instanceof Error ? (error.message.split('. ')[0] ?? '') : 'The arguments are wrong');
  }
}

function dispatch(positionals: readonly string[], options: Options, io: Io): Promise<number> {
  const [command, name, directory, ...rest] = positionals;
  if (command === undefined) throw usage('No command was given');
  if (command === 'list') {
    if (name !== undefined) throw usage('"list" takes no name');
    return list(options, io);
  }
  if (command === 'verify') {
    if (name === undefined || directory !== undefined) throw usage('"verify" takes the name of one backup');
    return verify(options, io, name);
  }
  if (command === 'restore') {
    if (name === undefined || directory === undefined || rest.length > 0) {
      throw usage('"restore" takes the name of one backup and a directory');
    }
    return restore(options, io, name, resolve(io.cwd, directory));
  }
  throw usage(`There is no command "${command}"`);
}

function usage(message: string): RecoverError {
  return new RecoverError(
    EXIT.usage,
    message,
    'Use: node recover.mjs list | verify NAME | restore NAME DIR   (--help tells more)',
  );
}

function findRepository(given: string | undefined, io: Io): string {
  if (given !== undefined) return resolve(io.cwd, given);
  const looksLikeOne = (directory: string): boolean =>
    ['repository.json', 'manifests/repository.json'].some((file) => existsSync(join(directory, file)));
  return !looksLikeOne(io.home) && looksLikeOne(io.cwd) ? io.cwd : io.home;
}

function report(error: unknown, verbose: boolean, io: Io): number {
  if (error instanceof RecoverError) {
    io.err(`recover: ${error.message}.\n${error.hint}\n`);
    if (verbose && error.stack !== undefined) io.err(`${error.stack}\n`);
    return error.exitCode;
  }
  const message = error instanceof Error ? error.message : String(error);
  io.err(
    `recover: ${message}.\nRun the command again with --verbose and keep what it prints; nothing in the repository was changed.\n`,
  );
  if (verbose && error instanceof Error) io.err(`${error.stack ?? ''}\n`);
  return EXIT.failed;
}
