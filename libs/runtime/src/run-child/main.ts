import { newId, serializeError, systemClock } from '@foodsave-backup/kernel';
import { Run } from '@foodsave-backup/engine';
import { loadConfig } from '../config/index.ts';
import type { ChildMessage, ChildRequest } from '../forked.ts';
import { collectEarly } from '../memory.ts';
import { openEngine } from '../open-engine.ts';
import { giveWay } from './priority.ts';

/** The process of one run: it reads the configuration itself, reports events, and ends when its host does. */
async function main(request: ChildRequest): Promise<void> {
  if (request.command.command === 'export') collectEarly();
  const run = new Run(newId(systemClock), request.command, systemClock);
  const stop = (reason: string): void => {
    if (!run.done) run.cancel(reason);
  };
  process.on('SIGTERM', () => {
    stop('asked to stop');
  });
  process.on('SIGINT', () => {
    stop('asked to stop');
  });
  process.on('disconnect', () => {
    stop('the server has gone');
  });
  const relayed = relay(run);
  await run.execute(async (context) => {
    const config = await loadConfig({ ...request.source, env: process.env, warn: () => undefined });
    const engine = openEngine(config);
    try {
      return await engine.execute(run.command, context);
    } finally {
      await engine.close();
    }
  });
  await relayed;
  if (process.connected) process.disconnect();
}

async function relay(run: Run): Promise<void> {
  for await (const event of run.events()) {
    const message: ChildMessage = { type: 'event', event };
    if (process.connected) await new Promise((resolve) => process.send?.(message, undefined, undefined, resolve));
  }
}

giveWay();
process.once('message', (request: ChildRequest) => {
  main(request).catch((error: unknown) => {
    const { code, message } = serializeError(error);
    process.stderr.write(`${code}: ${message}\n`);
    process.exitCode = 1;
    if (process.connected) process.disconnect();
  });
});
