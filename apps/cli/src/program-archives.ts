import { Option, type Command } from 'commander';
import type { Door } from './app.ts';
import type { ExportOptions } from './commands/export.ts';
import type { ImportOptions } from './commands/import.ts';
import { examples } from './examples.ts';
import { list, rate, repeated, UPLOAD_LIMIT } from './options.ts';

/** Backups as plain archives, out of a repository and into one. */
export function addArchives(program: Command, door: Door): void {
  program
    .command('export')
    .description('write a backup as a ZIP or TAR.GZ that any unzip and tar opens; it is NOT encrypted')
    .argument('<name>', 'name of the backup')
    .option('--components <list>', 'only these: kinds (database) or instances (database:main), comma-separated', list)
    .option('--path <path>', 'only what lies at or below this path of the backup; can be given several times', repeated)
    .addOption(
      new Option('--format <format>', 'kind of archive (default: as --output ends, else zip)').choices([
        'zip',
        'tar.gz',
      ]),
    )
    .option('--output <file>', 'new file to write; "-" for stdout (default: ./<name>.<format>)')
    .addHelpText(
      'after',
      examples(
        'export pre_deployment_backup',
        'export pre_deployment_backup --output /mnt/usb/friday.tar.gz',
        'export pre_deployment_backup --components files --format tar.gz --output - | tar tzv',
      ),
    )
    .action((name: string, options: ExportOptions) =>
      door(async (app) => (await import('./commands/export.ts')).exportBackup(app, name, options)),
    );
  program
    .command('import')
    .description('make a backup out of an archive that "export" wrote, after checking all of it')
    .argument('<file>', 'the archive')
    .option('--name <name>', 'name of the backup (default: as it was called)')
    .option('--dry-run', 'check the archive, import nothing')
    .option(...UPLOAD_LIMIT, rate)
    .addHelpText(
      'after',
      examples('import ./pre_deployment_backup.zip --dry-run', 'import ./pre_deployment_backup.zip --name from_usb'),
    )
    .action((file: string, options: ImportOptions) =>
      door(async (app) => (await import('./commands/import.ts')).importBackup(app, file, options)),
    );
}
