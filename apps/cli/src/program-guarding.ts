import { Option, type Command } from 'commander';
import type { Door } from './app.ts';
import type { AddKeyOptions, ExportKeyOptions } from './commands/key.ts';
import { examples } from './examples.ts';

/** Commands that guard what there is: holds, keys, leases, repairs. */
export function addGuarding(program: Command, door: Door): void {
  program
    .command('hold')
    .description('pin a backup: neither retention nor "delete" removes it')
    .argument('<name>', 'name of the backup')
    .option('--reason <text>', 'why, on one line')
    .addHelpText(
      'after',
      examples('hold pre_deployment_backup', 'hold pre_deployment_backup --reason "before the migration"'),
    )
    .action((name: string, options: { reason?: string }) =>
      door(async (app) => (await import('./commands/hold.ts')).hold(app, name, { on: true, ...options })),
    );
  program
    .command('unhold')
    .description('let go of a held backup')
    .argument('<name>', 'name of the backup')
    .addHelpText('after', examples('unhold pre_deployment_backup'))
    .action((name: string) => door(async (app) => (await import('./commands/hold.ts')).hold(app, name, { on: false })));
  addKeys(program, door);
  addRepair(program, door);
  program
    .command('unlock')
    .description('show who holds the repository and remove locks that nobody holds any more')
    .option('--force', 'also locks of other machines that have not expired; never one of a live process here')
    .addHelpText('after', examples('unlock', 'unlock --force'))
    .action((options: { force?: boolean }) =>
      door(async (app) => (await import('./commands/unlock.ts')).unlock(app, options)),
    );
}

function addRepair(program: Command, door: Door): void {
  const repair = program
    .command('repair')
    .description('mend what "check" found damaged; nothing is deleted that holds data')
    .addHelpText('after', examples('repair index --dry-run', 'repair packs'));
  const add = (what: 'index' | 'packs', description: string): void => {
    repair
      .command(what)
      .description(description)
      .option('--dry-run', 'show what would be done, change nothing')
      .addHelpText('after', examples(`repair ${what} --dry-run`, `repair ${what}`))
      .action((options: { dryRun?: boolean }) =>
        door(async (app) => (await import('./commands/repair.ts')).repair(app, what, options)),
      );
  };
  add('index', 'make the index anew from the packs, and write damaged manifests again from their other copy');
  add(
    'packs',
    'read every pack, move damaged ones to quarantine, save what is whole of them; and all that "repair index" does',
  );
}

function addKeys(program: Command, door: Door): void {
  const key = program
    .command('key')
    .description('list, add, rotate, remove or export the keys of the repository')
    .addHelpText(
      'after',
      examples('key list', 'key add --label "office safe" --key-file-out ./second.key', 'key export --out ./sheet.txt'),
    );
  key
    .command('list')
    .description('list the keys, and which of them the secret in use opens')
    .addHelpText('after', examples('key list', 'key list --json'))
    .action(() => door(async (app) => (await import('./commands/key.ts')).listKeys(app)));
  key
    .command('add')
    .description('let another secret open the repository')
    .option('--label <text>', 'who keeps it, on one line', 'added key')
    .addOption(new Option('--key-file <file>', 'file with the secret; "-" reads it from stdin').conflicts('keyFileOut'))
    .option('--key-file-out <file>', 'new file (0600) for a generated secret')
    .addHelpText(
      'after',
      examples('key add --label "office safe" --key-file-out ./second.key', 'key add --key-file - < passphrase.txt'),
    )
    .action((options: AddKeyOptions) => door(async (app) => (await import('./commands/key.ts')).addKey(app, options)));
  key
    .command('rotate')
    .description('put a new secret into the key file and take the old one away; no data is written anew')
    .option('--label <text>', 'who keeps it, on one line', 'rotated key')
    .addHelpText('after', examples('key rotate', 'key rotate --label "after the audit"'))
    .action((options: { label: string }) =>
      door(async (app) => (await import('./commands/key.ts')).rotateKey(app, options)),
    );
  key
    .command('remove')
    .description('remove a key; never the last one')
    .argument('<id>', 'id of the key, from "key list"')
    .option('--yes', 'also the one in use')
    .addHelpText('after', examples('key remove 01k9z3s5e8m0v6qv7c2d4f8g1h'))
    .action((id: string, options: { yes?: boolean }) =>
      door(async (app) => (await import('./commands/key.ts')).removeKey(app, id, options)),
    );
  key
    .command('export')
    .description('write a sheet to print: the secret and how to restore with it')
    .option('--out <file>', 'new file (0600) for the sheet')
    .addOption(new Option('--stdout', 'print it instead').conflicts('out'))
    .addHelpText('after', examples('key export --out ./sheet.txt', 'key export --stdout | lpr'))
    .action((options: ExportKeyOptions) =>
      door(async (app) => (await import('./commands/key.ts')).exportKey(app, options)),
    );
}
