import { newId, systemClock, type RunEvent } from '@foodsave-backup/kernel';
import { loadNative } from '@foodsave-backup/component';
import { Engine } from '../engine.ts';
import { Run } from '../run.ts';
import type { Command } from '../types.ts';
import { depsOf } from './world.ts';

/**
 * Carries out one command on the files of a world, as another user when it is told one: `BASE COMMAND [UID]`. Prints how it
 * ended, and its warnings, as JSON.
 */
const [base = '', text = '{}', uid] = process.argv.slice(2);
const engine = new Engine(depsOf(base, ['files'], false));
const command = JSON.parse(text) as Command;
// What is loaded late must be there before this process may be unable to read its own sources.
await loadNative();
if (uid !== undefined) {
  process.setgroups?.([]);
  process.setgid?.(Number(uid));
  process.setuid?.(Number(uid));
}
const run = new Run(newId(systemClock), command, systemClock);
await run.execute((context) => engine.execute(command, context));
const events: RunEvent[] = [];
for await (const event of run.events()) events.push(event);
const { status, result, error } = await run.finished;
const warnings = events.flatMap((event) => (event.type === 'warning' ? [`${event.code} ${event.path ?? ''}`] : []));
await engine.close();
process.stdout.write(JSON.stringify({ status, result, error, warnings }));
