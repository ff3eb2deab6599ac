import { execFileSync } from 'node:child_process';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir, type KillMoment, type TempDir } from '@foodsave-backup/testing';
import { expect } from 'vitest';
import type { Command } from '../types.ts';
import type { Told } from './kill-child.ts';
import { PHASES, type Killed } from './phases.ts';
import { bundleVictim, Victim } from './victim.ts';
import { World, type WorldOptions } from './world.ts';

/** A state to begin with, a command to kill in it, and what must hold afterwards. */
export interface Scenario {
  command: (world: World) => Command;
  /** Makes the state from an empty application. Each round has other data. */
  prepare: (world: World, round: number) => Promise<void>;
  /** Looks at what the kill left. `done`: the command was acknowledged. `turn` counts kills. A word for the histogram. */
  judge: (world: World, after: { done: boolean; turn: number; round: number }) => Promise<string>;
}

/** How many kills each phase gets at least. */
const WANTED = 3;
const ROUNDS_MAX = 12;

interface KillPoint {
  at: number;
  moment: KillMoment;
  phase: string;
}

export type Tally = Map<string, Map<string, number>>;

/** Kills a command in all of its phases, each time in the same state, and has every outcome judged. */
export class KillCampaign implements AsyncDisposable {
  readonly #options: WorldOptions;
  readonly #temp: TempDir;
  #turn = 0;

  private constructor(temp: TempDir, options: WorldOptions) {
    this.#temp = temp;
    this.#options = options;
  }

  static async start(options: WorldOptions): Promise<KillCampaign> {
    const temp = await tempDir('foodsave-kill-');
    await bundleVictim(temp.join('bundle'));
    return new KillCampaign(temp, options);
  }

  /**
   * Rounds of the scenario until each phase was killed `WANTED` times. Which calls are chosen depends on the calls that the
   * command makes and on nothing else. Prints and returns the histogram.
   */
  async run(kind: Killed, scenario: Scenario): Promise<Tally> {
    const tally: Tally = new Map(PHASES[kind].map(({ name }) => [name, new Map<string, number>()]));
    const missing = (phase: string): number => WANTED - count(tally.get(phase));
    for (let round = 0; round < ROUNDS_MAX && [...tally.keys()].some((phase) => missing(phase) > 0); round++) {
      await this.#round(scenario, round, tally, missing);
    }
    process.stdout.write(histogram(kind, tally));
    return tally;
  }

  async #round(scenario: Scenario, round: number, tally: Tally, missing: (phase: string) => number): Promise<void> {
    await using world = await World.create(this.#options);
    await scenario.prepare(world, round);
    const template = this.#temp.join(`round-${round}`);
    await copyInto(world.path, template);
    const bundle = this.#temp.join('bundle');
    const command = scenario.command(world);
    const told = await new Victim(bundle, world).trace(command);
    const points = [...tally.keys()].flatMap((phase) => choose(told, phase, missing(phase), round));
    let next = new Victim(bundle, world);
    try {
      for (const { at, moment, phase } of points) {
        await copyInto(template, world.path);
        const victim = next;
        const killed = await victim.kill(command, at, moment);
        next = new Victim(bundle, world);
        const after = { done: killed === 'done', turn: this.#turn++, round };
        const where = killed === 'done' ? 'done' : `${moment} ${killed.name} ${killed.path}`;
        const outcome = await scenario.judge(world, after).catch((error: unknown) => {
          throw new Error(`Killed in "${phase}", round ${round}, call ${at}: ${where}`, { cause: error });
        });
        if (killed !== 'done') add(tally, killed.phase, outcome);
      }
    } finally {
      await next.end();
      await rm(template, { recursive: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#temp.cleanup();
  }
}

/** Ways to die in a call. Where it only reads there is one: nothing on the medium tells them apart. */
function momentsOf({ name, writes }: Told): KillMoment[] {
  if (!writes) return ['before'];
  const divisible = ['write', 'appendFile', 'writeFile', 'rm'].includes(name);
  return divisible ? ['before', 'within', 'after'] : ['before', 'after'];
}

/** At most `wanted` points of a phase: calls that write come first, then those spread evenly over the phase. */
function choose(told: readonly Told[], phase: string, wanted: number, round: number): KillPoint[] {
  const inPhase = told.filter((call) => call.phase === phase);
  const points = (writes: boolean): KillPoint[] =>
    inPhase
      .filter((call) => call.writes === writes)
      .flatMap((call) => momentsOf(call).map((moment) => ({ at: call.at, moment, phase })));
  const writing = spread(points(true), wanted, round);
  return [...writing, ...spread(points(false), wanted - writing.length, round)].sort((a, b) => a.at - b.at);
}

function spread<T>(all: readonly T[], wanted: number, round: number): T[] {
  if (wanted <= 0) return [];
  if (all.length <= wanted) return [...all];
  const shift = (round * 7) % all.length;
  return Array.from(
    { length: wanted },
    (_, i) => all[(Math.floor((i * all.length) / wanted) + shift) % all.length] as T,
  );
}

/** Makes `to` hold exactly what `from` holds, times and modes included. */
async function copyInto(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const name of await readdir(to)) await rm(join(to, name), { recursive: true });
  execFileSync('cp', ['-a', `${from}/.`, to]);
}

function add(tally: Tally, phase: string, outcome: string): void {
  const outcomes = tally.get(phase) ?? new Map<string, number>();
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  tally.set(phase, outcomes);
}

/** Every phase was killed often enough. */
export function expectEnough(tally: Tally): void {
  for (const [phase, outcomes] of tally) expect(count(outcomes), phase).toBeGreaterThanOrEqual(WANTED);
}

function count(outcomes: ReadonlyMap<string, number> | undefined): number {
  return [...(outcomes?.values() ?? [])].reduce((sum, n) => sum + n, 0);
}

function histogram(kind: Killed, tally: Tally): string {
  const lines = [...tally].map(([phase, outcomes]) => {
    const kills = count(outcomes);
    const words = [...outcomes].map(([word, n]) => `${word} ${n}`).join(', ');
    return `  ${phase.padEnd(18)} ${String(kills).padStart(4)} ${'#'.repeat(Math.min(60, kills)).padEnd(32)} ${words}`;
  });
  const total = [...tally.values()].reduce((sum, outcomes) => sum + count(outcomes), 0);
  return `${kind}: ${total} kills\n${lines.join('\n')}\n`;
}
