import { systemClock, newId } from '@foodsave-backup/kernel';
import { Engine } from '../engine.ts';
import { Run } from '../run.ts';
import type { Command } from '../types.ts';
import { hookedDrivers } from './hooked.ts';
import { depsOf, type Kind } from './world.ts';

/**
 * A process that carries out one command on the application in a directory and kills itself with SIGKILL at a moment of a live
 * restore (hooked.ts). Exits 0 when the command succeeded before that came, otherwise prints what went wrong and exits 1.
 */
const [base = '', kinds = '', json = '', at = ''] = process.argv.slice(2);
const command = JSON.parse(json) as Command;
const drivers = hookedDrivers(async (moment) => {
  if (moment !== at) return;
  process.kill(process.pid, 'SIGKILL');
  await new Promise(() => undefined);
});
const engine = new Engine(depsOf(base, kinds.split(',') as Kind[], false, { drivers }));
const run = new Run(newId(systemClock), command, systemClock);
await run.execute((context) => engine.execute(command, context));
const { status, error } = await run.finished;
if (status !== 'succeeded') process.stderr.write(`${command.command} ${status} ${error?.message ?? ''}\n`);
process.exit(status === 'succeeded' ? 0 : 1);
