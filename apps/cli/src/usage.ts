import { CommanderError, type Command } from 'commander';
import { BackupError } from '@foodsave-backup/kernel';

/** What ended the parsing: help or version was shown, no command was given, or something was wrong. */
export type ParseEnd = { kind: 'shown' } | { kind: 'wrong'; error: BackupError };

/** A CommanderError in the words of this program. Anything else is thrown on. */
export function parseEnd(thrown: unknown, program: Command, args: readonly string[]): ParseEnd {
  if (!(thrown instanceof CommanderError)) throw thrown;
  if (thrown.exitCode === 0) return { kind: 'shown' };
  const help = helpLine(program, args);
  if (thrown.code === 'commander.help') {
    return { kind: 'wrong', error: new BackupError('USAGE', 'No command was given', { hint: help }) };
  }
  const [first = '', ...rest] = thrown.message.split('\n');
  const message = capitalise(first.replace(/^error: /, ''));
  const meant = rest.map((line) => line.replace(/^\(|\)$/g, '')).find((line) => line.startsWith('Did you mean'));
  return {
    kind: 'wrong',
    error: new BackupError('USAGE', message, { hint: meant === undefined ? help : `${meant}\n${help}` }),
  };
}

function helpLine(program: Command, args: readonly string[]): string {
  const names = new Set(program.commands.map((command) => command.name()));
  const command = args.find((arg) => names.has(arg));
  return `Run "${program.name()} ${command === undefined ? '' : `${command} `}--help" to see how it is used.`;
}

function capitalise(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
