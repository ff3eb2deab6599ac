import type { VerificationView } from '@foodsave-backup/engine';
import type { Style } from './style.ts';
import { formatWhen } from './units.ts';

/** Symbol and word, so that it can be read without colours. */
export function statusText(status: string, style: Style): string {
  switch (status) {
    case 'complete':
    case 'ok':
    case 'up':
      return style.green(`✓ ${status}`);
    case 'partial':
      return style.yellow(`▲ ${status}`);
    case 'damaged':
    case 'failed':
    case 'down':
    case 'error':
      return style.red(`✗ ${status}`);
    default:
      return `· ${status}`;
  }
}

const VERIFIED: Readonly<Record<VerificationView['level'], string>> = {
  none: 'not verified',
  new: 'new data verified',
  quick: 'presence and sizes checked',
  full: 'all data verified',
};

/** What was looked at, never more. */
export function verificationWords(verification: VerificationView, style: Style): string {
  if (verification.status === 'damaged') return style.red('✗ damage found');
  const words = VERIFIED[verification.level];
  if (verification.level === 'none') return style.yellow(`· ${words}`);
  return verification.level === 'full' ? style.green(`✓ ${words}`) : words;
}

/** The same with its time; `now` in ms since the epoch. */
export function verificationLine(verification: VerificationView, now: number, style: Style): string {
  const words = verificationWords(verification, style);
  return verification.at === undefined ? words : `${words}, ${formatWhen(verification.at, now)}`;
}
