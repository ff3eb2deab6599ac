export const NAME = 'foodsave-backup';

/** What help shows below the options. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${NAME} ${line}`).join('\n')}`;
}
