import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { newId, systemClock, type Clock, type RunEvent } from '@foodsave-backup/kernel';
import type { Command, RunView } from '@foodsave-backup/engine';
import { generateSample, type SampleOptions } from '@foodsave-backup/example-foodsave/sample';
import { loadConfig, openEngine, Run, type ResolvedConfig } from '@foodsave-backup/runtime';

interface Application {
  directory: string;
  engine: ReturnType<typeof openEngine>;
  config: ResolvedConfig;
  /** Runs a command to its end and gives how it ended. */
  run(command: Command, signal?: AbortSignal): Promise<RunView & { events: RunEvent[] }>;
  /** The result of a command that must succeed. */
  must<T>(command: Command): Promise<T>;
}

/** The sample application below `directory`, with an engine over its own `backup.yaml`. */
export async function sampleApplication(
  directory: string,
  sample: SampleOptions,
  env: Readonly<Record<string, string>> = {},
  clock: Clock = systemClock,
): Promise<Application> {
  await mkdir(directory, { recursive: true });
  generateSample(directory, sample);
  return openApplication(directory, env, clock);
}

/** An engine over the `backup.yaml` in `directory`. */
export async function openApplication(
  directory: string,
  env: Readonly<Record<string, string>> = {},
  clock: Clock = systemClock,
): Promise<Application> {
  const config = await loadConfig({
    configPath: join(directory, 'backup.yaml'),
    env,
    cwd: directory,
    warn: () => undefined,
  });
  const engine = openEngine(config, { clock, env });
  const run = async (command: Command, signal?: AbortSignal): Promise<RunView & { events: RunEvent[] }> => {
    const one = new Run(newId(clock), command, clock);
    signal?.addEventListener('abort', () => {
      if (!one.done) one.cancel('test');
    });
    await one.execute((context) => engine.execute(command, context));
    const events: RunEvent[] = [];
    for await (const event of one.events()) events.push(event);
    return { ...(await one.finished), events };
  };
  const must = async <T>(command: Command): Promise<T> => {
    const view = await run(command);
    if (view.status !== 'succeeded')
      throw new Error(`${command.command} ${view.status}: ${JSON.stringify(view.error ?? view.result)}`);
    return view.result as T;
  };
  return { directory, engine, config, run, must };
}
