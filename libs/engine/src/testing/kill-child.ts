import { writeSync } from 'node:fs';
import { newId, systemClock } from '@foodsave-backup/kernel';
import { watchFileCalls, type FileCall, type KillMoment } from '@foodsave-backup/testing';
import { Engine } from '../engine.ts';
import { Run } from '../run.ts';
import type { Command } from '../types.ts';
import { PhaseTracker } from './phases.ts';
import { depsOf, type Kind } from './world.ts';

/** What a victim is told on its standard input, as one line of JSON. */
export interface Order {
  command: Command;
  /** The call in which it ends itself with SIGKILL; absent: it only tells its calls. */
  kill?: KillPoint;
}

/** A call of a phase, and where in it. */
export interface KillPoint {
  phase: string;
  /** Counted from 1 within the phase: how often a phase looks at something may differ by a call or two, and must not move the others. */
  at: number;
  moment: KillMoment;
}

/** What a victim tells of a call. */
export type Told = FileCall & Omit<KillPoint, 'moment'>;

/**
 * A process that carries out commands on the application in a directory and kills itself in a chosen call to the file system.
 * It tells "ready", "call …" for each call of a command that it is to survive, "killed …" just before its end, and "done" or
 * "failed …". With one thread in its pool (UV_THREADPOOL_SIZE) the calls come in the same order each time.
 */
const [base = '', kinds = 'files', encryption = ''] = process.argv.slice(2);
const deps = depsOf(base, kinds.split(',') as Kind[], encryption === 'encrypted', {
  config: { retention: { daily: 1, weekly: 0, monthly: 0 } },
});
/** The order that is being carried out. */
const current: { order?: Order; phases?: PhaseTracker; calls: Map<string, number> } = {
  calls: new Map(),
};

function say(line: string): void {
  writeSync(1, `${line}\n`);
}

function onCall(call: FileCall): KillMoment | undefined {
  const { order, phases } = current;
  if (order === undefined || phases === undefined) return undefined;
  const phase = phases.ofCall({ ...call, path: call.path.slice(base.length + 1) });
  const at = (current.calls.get(phase) ?? 0) + 1;
  current.calls.set(phase, at);
  const told: Told = { ...call, at, phase };
  if (order.kill === undefined) say(`call ${JSON.stringify(told)}`);
  if (order.kill?.phase !== phase || order.kill.at !== at) return undefined;
  say(`killed ${JSON.stringify(told)}`);
  return order.kill.moment;
}

async function carryOut(order: Order): Promise<void> {
  const { command } = order;
  const engine = new Engine(deps);
  const run = new Run(newId(systemClock), command, systemClock);
  const phases = new PhaseTracker(command);
  Object.assign(current, { order, phases, calls: new Map() });
  await run.execute((context) =>
    engine.execute(command, {
      ...context,
      signal: context.signal,
      emit: (event) => {
        phases.hear(event.type);
        context.emit(event);
      },
      progress: (progress) => {
        phases.hear(progress.phase);
        context.progress(progress);
      },
    }),
  );
  delete current.order;
  const { status, error } = await run.finished;
  say(status === 'succeeded' ? 'done' : `failed ${error?.code ?? status} ${error?.message ?? ''}`);
}

await watchFileCalls({
  below: base,
  onCall,
  die: () => {
    process.kill(process.pid, 'SIGKILL');
  },
});
say('ready');
let text = '';
for await (const piece of process.stdin) {
  text += String(piece);
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
    const order = JSON.parse(text.slice(0, end)) as Order;
    text = text.slice(end + 1);
    await carryOut(order);
  }
}
