import type { Clock, RunCommand, RunEvent, RunProgress } from '@foodsave-backup/kernel';
import type { Output } from '../output.ts';
import { hintText } from './error.ts';
import { fractionOf, phaseText, progressLine, RateMeter } from './progress.ts';
import { visible, visibleLines } from './text.ts';

/** Shows the events of a run on stderr: a bar on a terminal, lines elsewhere; or all of them as JSON lines on stdout. */
export class EventPrinter {
  readonly #out: Output;
  readonly #clock: Clock;
  /** Progress lines also where there is no terminal. */
  readonly #chatty: boolean;
  readonly #meter = new RateMeter();
  #command: RunCommand | undefined;
  #phase = '';
  #tenth = 0;

  constructor(out: Output, clock: Clock, chatty: boolean) {
    this.#out = out;
    this.#clock = clock;
    this.#chatty = chatty;
  }

  print(event: RunEvent): void {
    if (this.#out.mode === 'lines') {
      // The result stands in the last line, once.
      const { result: _result, ...rest } = event.type === 'run.finished' ? event : { ...event, result: undefined };
      this.#out.jsonLine(rest);
      return;
    }
    switch (event.type) {
      case 'run.started':
        this.#command = event.command;
        this.#out.detail(`Run ${event.runId}: ${event.command} ${JSON.stringify(event.detail)}`);
        return;
      case 'component.started':
        this.#out.detail(`${event.at} ${visible(event.component)} started`);
        return;
      case 'progress':
        this.#progress(event.progress);
        return;
      case 'warning':
        this.#warning(event);
        return;
      case 'component.finished':
        this.#finished(event);
        return;
      case 'run.finished':
        this.#out.settle();
        this.#out.detail(`Run ${event.runId}: ${event.status}`);
    }
  }

  #progress(progress: RunProgress): void {
    if (this.#out.quiet) return;
    const rate = this.#meter.observe(progress, this.#clock.monotonic());
    if (this.#out.live) {
      this.#out.draw(progressLine(progress, rate, this.#out.width, this.#command));
      return;
    }
    const phase = phaseText(progress, this.#command);
    if (phase !== this.#phase) {
      this.#phase = phase;
      this.#out.aside(phase);
    }
    const tenth = Math.floor((fractionOf(progress) ?? 0) * 10);
    if (this.#chatty && tenth !== this.#tenth) this.#out.aside(`  ${progressLine(progress, rate, 200, this.#command)}`);
    this.#tenth = tenth;
  }

  #warning(event: Extract<RunEvent, { type: 'warning' }>): void {
    const place = [event.component, event.path].filter((part) => part !== undefined).map(visible);
    const subject = place.length === 0 ? '' : `${place.join(' ')}: `;
    this.#out.warn(`${subject}${event.message} [${event.code}]`);
  }

  #finished(event: Extract<RunEvent, { type: 'component.finished' }>): void {
    const { error } = event;
    const component = visible(event.component);
    if (error === undefined) {
      this.#out.detail(`${event.at} ${component} ${event.status}`);
      return;
    }
    const lines = [this.#out.errorStyle.red(`✗ ${component} failed [${error.code}]: ${visibleLines(error.message)}`)];
    if (error.hint !== undefined) lines.push(hintText(error.hint));
    this.#out.aside(lines.join('\n'));
  }
}
