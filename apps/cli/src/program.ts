import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import type { Door } from './app.ts';
import type { CreateOptions } from './commands/create.ts';
import type { ListOptions } from './commands/list.ts';
import type { RestoreOptions } from './commands/restore.ts';
import type { ServeOptions } from './commands/serve.ts';
import { examples, NAME } from './examples.ts';
import type { Io } from './io.ts';
import { addArchives } from './program-archives.ts';
import { addGuarding } from './program-guarding.ts';
import { limit, list, port, rate, READ_LIMIT, repeated, subset, UPLOAD_LIMIT } from './options.ts';
import type { RateOptions } from './options.ts';

/**
 * Every command with its options, examples and where its code is. The code of a command, and with it the engine, is loaded
 * only when the command runs: help, version and usage errors answer at once.
 */
export function buildProgram(io: Pick<Io, 'stdout' | 'stderr'>, door: Door): Command {
  const program = new Command(NAME)
    .description('Backs up, verifies and restores a database, files, configuration and a vector store.')
    .usage('[options] <command>')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show how it is used')
    .helpCommand('help [command]', 'show how a command is used')
    .exitOverride()
    .showSuggestionAfterError(true)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: () => undefined,
      getOutHelpWidth: () => Math.min(io.stdout.columns ?? 100, 120),
      getErrHelpWidth: () => Math.min(io.stderr.columns ?? 100, 120),
    })
    .option('--config <file>', 'configuration file (default: $BACKUP_CONFIG, else ./backup.yaml)')
    .option('--repository <dir|address>', 'repository to use: a directory, s3://… or sftp://…')
    .option('--json', 'print one JSON document on stdout, everything else on stderr')
    .option('--progress', 'with --json: print events as JSON lines; else: progress lines also without a terminal')
    .option('--quiet', 'print results of questions, warnings and errors only')
    .option('--verbose', 'print events and, with errors, where they come from')
    .option('--no-color', 'no colours (also: NO_COLOR=1)');
  addMaking(program, door);
  addReading(program, door);
  addRestoring(program, door);
  addKeeping(program, door);
  addArchives(program, door);
  addGuarding(program, door);
  program.addHelpText('after', AFTER_HELP);
  return program;
}

function addMaking(program: Command, door: Door): void {
  program
    .command('init')
    .description('make the repository and, unless it stays unencrypted, its key')
    .option('--no-encryption', 'make a repository that anyone who has its files can read')
    .addHelpText('after', examples('init', 'init --repository /mnt/backups', 'init --no-encryption'))
    .action((options: { encryption: boolean }) =>
      door(async (app) => (await import('./commands/init.ts')).init(app, options)),
    );
  program
    .command('create')
    .description('make a backup; makes the repository too when there is none yet')
    .option('--name <name>', 'name of the backup (default: full_backup_YYYYMMDD_HHMMSS)')
    .option('--components <list>', 'only these: kinds (database) or instances (database:main), comma-separated', list)
    .option('--tag <tag>', 'a word to find it by; can be given several times', repeated)
    .option('--no-verify', 'do not read the new data back, and look at databases with quick_check only')
    .option('--fail-on-partial', 'exit 1 instead of 3 when some source could not be read')
    .option('--no-encryption', 'if the repository has to be made: without encryption')
    .option(...READ_LIMIT, rate)
    .option(...UPLOAD_LIMIT, rate)
    .addHelpText(
      'after',
      examples(
        'create',
        'create --name pre_deployment_backup',
        'create --components database,files --tag release-42',
        'create --limit-read 50MB --limit-upload 10MB',
      ),
    )
    .action((options: CreateOptions) =>
      door(async (app) => (await import('./commands/create.ts')).create(app, options)),
    );
  program
    .command('serve')
    .description('start the server: REST, web page and schedules')
    .option('--port <port>', 'port to listen on (default: $PORT, else as configured, else 8000)', port)
    .option('--host <address>', 'address to listen on (default: $HOST, else as configured, else 127.0.0.1)')
    .addHelpText('after', examples('serve', 'serve --port 9000'))
    .action((options: ServeOptions) => door(async (app) => (await import('./commands/serve.ts')).serve(app, options)));
}

function addReading(program: Command, door: Door): void {
  program
    .command('list')
    .description('list the backups, newest first')
    .option('--limit <n>', 'at most so many, 1 to 500', limit)
    .option('--cursor <cursor>', 'go on after a page: its nextCursor')
    .addOption(new Option('--status <status>', 'only of this status').choices(['complete', 'partial', 'damaged']))
    .option('--component <component>', 'only with this kind or instance')
    .option('--query <text>', 'only with this text in the name or a tag')
    .addHelpText('after', examples('list', 'list --limit 5 --status complete', 'list --query deploy --json'))
    .action((options: ListOptions) => door(async (app) => (await import('./commands/list.ts')).list(app, options)));
  program
    .command('show')
    .description('show everything known about a backup')
    .argument('<name>', 'name of the backup')
    .addHelpText('after', examples('show pre_deployment_backup', 'show pre_deployment_backup --json'))
    .action((name: string) => door(async (app) => (await import('./commands/show.ts')).show(app, name)));
  program
    .command('ls')
    .description('list one directory of a backup')
    .argument('<name>', 'name of the backup')
    .argument('[path]', 'path in the backup', '')
    .option('--component <component>', 'only of this kind or instance')
    .addHelpText(
      'after',
      examples('ls pre_deployment_backup', 'ls pre_deployment_backup data/uploads --component files'),
    )
    .action((name: string, path: string, options: { component?: string }) =>
      door(async (app) => (await import('./commands/ls.ts')).ls(app, name, path, options)),
    );
  program
    .command('stats')
    .description('show what is stored and what it costs')
    .addHelpText('after', examples('stats', 'stats --json'))
    .action(() => door(async (app) => (await import('./commands/stats.ts')).stats(app)));
  program
    .command('health')
    .description('tell whether everything is well; exits 1 when it is not')
    .addHelpText('after', examples('health', 'health --json'))
    .action(() => door(async (app) => (await import('./commands/health.ts')).health(app)));
}

function addRestoring(program: Command, door: Door): void {
  program
    .command('restore')
    .description('restore a backup in place, or to a directory with --target')
    .argument('<name>', 'name of the backup')
    .option('--components <list>', 'only these: kinds (database) or instances (database:main), comma-separated', list)
    .option('--path <path>', 'only what lies at or below this path of the backup; can be given several times', repeated)
    .option('--target <dir>', 'restore into this empty or new directory; nothing live is touched')
    .addOption(new Option('--in-place', 'replace the live data (the default)').conflicts('target'))
    .option('--dry-run', 'show what would change, change nothing')
    .option('--yes', 'do not ask before live data is replaced')
    .option('--without-safety', 'replace live data although it could not be saved first: no undo')
    .addHelpText(
      'after',
      examples(
        'restore pre_deployment_backup --target ./restored',
        'restore pre_deployment_backup --dry-run',
        'restore pre_deployment_backup --components database,files --yes',
      ),
    )
    .action((name: string, options: RestoreOptions) =>
      door(async (app) => (await import('./commands/restore.ts')).restore(app, name, options)),
    );
  program
    .command('undo')
    .description('put back what the last restore in place replaced')
    .option('--dry-run', 'show what would change, change nothing')
    .option('--yes', 'do not ask before live data is replaced')
    .addHelpText('after', examples('undo --dry-run', 'undo'))
    .action((options: { dryRun?: boolean; yes?: boolean }) =>
      door(async (app) => (await import('./commands/undo.ts')).undo(app, options)),
    );
}

function addKeeping(program: Command, door: Door): void {
  program
    .command('verify')
    .description('read every byte of a backup and open what is in it; exits 1 on damage')
    .argument('<name>', 'name of the backup')
    .option('--quick', 'look at presence and sizes only')
    .addHelpText('after', examples('verify pre_deployment_backup', 'verify pre_deployment_backup --quick'))
    .action((name: string, options: { quick?: boolean }) =>
      door(async (app) => (await import('./commands/verify.ts')).verify(app, name, options)),
    );
  program
    .command('check')
    .description('check the whole repository; exits 1 on damage')
    .addOption(new Option('--read-data', 'read and decode every pack').conflicts('readDataSubset'))
    .option('--read-data-subset <n/t>', 'read part n of t of the packs, such as 1/10', subset)
    .addHelpText('after', examples('check', 'check --read-data', 'check --read-data-subset 1/10'))
    .action((options: { readData?: boolean; readDataSubset?: { n: number; t: number } }) =>
      door(async (app) => (await import('./commands/check.ts')).check(app, options)),
    );
  program
    .command('cleanup')
    .description('delete what retention does not keep and free its space')
    .option('--dry-run', 'show what would be deleted and why, delete nothing')
    .option(...UPLOAD_LIMIT, rate)
    .addHelpText('after', examples('cleanup --dry-run', 'cleanup'))
    .action((options: { dryRun?: boolean } & RateOptions) =>
      door(async (app) => (await import('./commands/cleanup.ts')).cleanup(app, options)),
    );
  program
    .command('delete')
    .description('delete backups and free their space; nothing goes when one of them is not there or is held')
    .argument('<name...>', 'names of the backups')
    .option('--yes', 'do not ask')
    .addHelpText('after', examples('delete pre_deployment_backup', 'delete monday tuesday wednesday --yes'))
    .action((names: string[], options: { yes?: boolean }) =>
      door(async (app) => (await import('./commands/delete.ts')).deleteBackups(app, names, options)),
    );
}

const AFTER_HELP = `${examples('create --name pre_deployment_backup', 'list', 'restore pre_deployment_backup --target ./restored')}

Output for programs:
  --json             one JSON document on stdout, the same as REST answers; on failure {"error":{code,message,hint}}
  --json --progress  JSON lines: events {"type":"run.started"|"component.started"|"progress"|"warning"|…}, and as the
                     last line {"type":"result","exitCode":…,"result":…} with "error" when it failed

Exit codes:
  0 done                     3 done, but some source could not be read    12 wrong or missing key
  1 failed, or damage found  10 no repository                             130 interrupted
  2 usage or configuration   11 repository locked by another process`;

function version(): string {
  const json: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return (json as { version: string }).version;
}
