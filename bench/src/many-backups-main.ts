import { writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { newId, systemClock } from '@foodsave-backup/kernel';
import { loadConfig, openEngine, Run } from '@foodsave-backup/runtime';

// A process of its own, as it runs what was built, like the program under measurement. Makes backups one after the other
// in one process: thousands of them, without as many starts. Before each it changes one file. Arguments: configuration,
// the file, number of the first, how many, seconds after which it ends early. Prints how many were made.
const [config = '', file = '', first = '', count = '', seconds = ''] = process.argv.slice(2);
const { env } = process;
const resolved = await loadConfig({ configPath: config, env, cwd: dirname(config), warn: () => undefined });
const engine = openEngine(resolved, { env });
const until = performance.now() + Number(seconds) * 1000;
let made = 0;
for (; made < Number(count) && performance.now() < until; made++) {
  const name = `b${Number(first) + made}`;
  writeFileSync(file, `before ${name}\n`);
  const run = new Run(newId(systemClock), { command: 'create', name, verify: false, trigger: 'manual' }, systemClock);
  await run.execute((context) => engine.execute(run.command, context));
  const { status, error } = await run.finished;
  if (status !== 'succeeded') throw new Error(`Backup ${name} ${status}: ${error?.message ?? 'no reason given'}`);
}
await engine.close();
process.stdout.write(`${made}\n`);
