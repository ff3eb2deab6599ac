import type { RunCommand, RunProgress } from '@foodsave-backup/kernel';
import { displayWidth, grouped, shorten, visible } from './text.ts';
import { formatBytes, formatClock } from './units.ts';

const PHASES: Readonly<Record<string, string>> = {
  capture: 'Backing up',
  verify: 'Verifying',
  structure: 'Checking the structure',
  check: 'Checking',
  repair: 'Repairing',
  plan: 'Planning',
  prune: 'Freeing space',
  restore: 'Restoring',
  export: 'Exporting',
  import: 'Importing',
  stage: 'Staging',
};

/** What is going on, in words: `Backing up database:main`. `command`: of the run; a restore saves the present state first. */
export function phaseText(progress: Pick<RunProgress, 'phase' | 'component'>, command?: RunCommand): string {
  const saving = progress.phase === 'capture' && (command === 'restore' || command === 'undo');
  const phase = saving ? 'Saving the present' : (PHASES[progress.phase] ?? visible(progress.phase));
  return progress.component === undefined || progress.component === ''
    ? phase
    : `${phase} ${visible(progress.component)}`;
}

/** 0 to 1; `undefined` while the total is unknown. */
export function fractionOf(progress: RunProgress): number | undefined {
  const { doneBytes, totalBytes } = progress;
  if (totalBytes === undefined || totalBytes <= 0) return undefined;
  return Math.min(1, doneBytes / totalBytes);
}

/** Weight of the newest observation in the moving average of the rate. */
const SMOOTHING = 0.3;
/** Observations closer than this say little, in ms. */
const LEAST_MS = 200;

/** The rate of a phase as an exponentially weighted moving average; starts anew when a phase does. */
export class RateMeter {
  #phase: string | undefined;
  #at = 0;
  #bytes = 0;
  #rate: number | undefined;

  /** `now`: monotonic ms. Returns bytes a second, `undefined` until there is something to tell. */
  observe(progress: RunProgress, now: number): number | undefined {
    if (progress.phase !== this.#phase || progress.doneBytes < this.#bytes) {
      this.#phase = progress.phase;
      this.#rate = undefined;
      this.#at = now;
      this.#bytes = progress.doneBytes;
      return undefined;
    }
    const elapsed = now - this.#at;
    if (elapsed < LEAST_MS) return this.#rate;
    const rate = ((progress.doneBytes - this.#bytes) / elapsed) * 1000;
    this.#rate = this.#rate === undefined ? rate : this.#rate + SMOOTHING * (rate - this.#rate);
    this.#at = now;
    this.#bytes = progress.doneBytes;
    return this.#rate;
  }
}

const BAR_MAX = 24;
const BAR_MIN = 8;

/** One line of at most `width` columns. `rate`: bytes a second. */
export function progressLine(
  progress: RunProgress,
  rate: number | undefined,
  width: number,
  command?: RunCommand,
): string {
  const figures = figuresOf(progress, rate);
  const fraction = fractionOf(progress);
  const head = phaseText(progress, command);
  const room = width - displayWidth(head) - displayWidth(figures) - 2;
  const parts = [head];
  if (fraction !== undefined && room >= BAR_MIN + 8) {
    const cells = Math.min(BAR_MAX, room - 8);
    const full = Math.floor(fraction * cells);
    parts.push(`${'█'.repeat(full)}${'░'.repeat(cells - full)} ${percent(fraction)}`);
  } else if (fraction !== undefined) parts.push(percent(fraction));
  parts.push(figures);
  const line = parts.join('  ');
  const left = width - displayWidth(line) - 2;
  const current = progress.current === undefined || left < 12 ? '' : `  ${shorten(visible(progress.current), left)}`;
  return shorten(line + current, width);
}

function percent(fraction: number): string {
  return `${String(Math.floor(fraction * 100)).padStart(3)} %`;
}

function figuresOf(progress: RunProgress, rate: number | undefined): string {
  const { doneBytes, totalBytes, doneFiles } = progress;
  const parts = [
    totalBytes === undefined ? formatBytes(doneBytes) : `${formatBytes(doneBytes)} / ${formatBytes(totalBytes)}`,
  ];
  if (doneFiles > 0) parts.push(`${grouped(doneFiles)} ${doneFiles === 1 ? 'file' : 'files'}`);
  if (rate !== undefined) parts.push(`${formatBytes(rate)}/s`);
  if (rate !== undefined && rate > 0 && totalBytes !== undefined && totalBytes > doneBytes) {
    parts.push(`${formatClock(((totalBytes - doneBytes) / rate) * 1000)} left`);
  }
  return parts.join('  ');
}
