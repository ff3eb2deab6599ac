import { systemClock, newId } from '@foodsave-backup/kernel';
import { Engine } from '../engine.ts';
import { Run } from '../run.ts';
import type { Command } from '../types.ts';
import { depsOf, type Kind } from './world.ts';

/**
 * A process that carries out commands on the application in a directory until it is killed. It gets them as lines of JSON on
 * stdin and tells "begin", "staged" (a live restore is about to put data in place) and "done" or "failed" on stdout.
 */
const [base = '', kinds = 'files', encryption = ''] = process.argv.slice(2);
const deps = depsOf(base, kinds.split(',') as Kind[], encryption === 'encrypted', {
  config: { retention: { daily: 1, weekly: 0, monthly: 0 } },
});

async function carryOut(command: Command): Promise<void> {
  const engine = new Engine(deps);
  const run = new Run(newId(systemClock), command, systemClock);
  say('begin');
  await run.execute((context) =>
    engine.execute(command, {
      ...context,
      signal: context.signal,
      emit: (event) => {
        if (event.type === 'component.started' && command.command !== 'create') say('staged');
        context.emit(event);
      },
      progress: (progress) => {
        context.progress(progress);
      },
    }),
  );
  const { status, error } = await run.finished;
  say(status === 'succeeded' ? 'done' : `failed ${error?.code ?? status} ${error?.message ?? ''}`);
}

function say(word: string): void {
  process.stdout.write(`${word}\n`);
}

say('ready');
let text = '';
for await (const piece of process.stdin) {
  text += String(piece);
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
    const command = JSON.parse(text.slice(0, end)) as Command;
    text = text.slice(end + 1);
    await carryOut(command);
  }
}
