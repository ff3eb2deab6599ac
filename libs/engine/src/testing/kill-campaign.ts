import { createHash } from 'node:crypto';
import { cpSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir, type KillMoment, type TempDir } from '@foodsave-backup/testing';
import { expect } from 'vitest';
import type { Command } from '../types.ts';
import type { KillPoint, Told } from './kill-child.ts';
import { PHASES, type Killed } from './phases.ts';
import { bundleVictim, Victim } from './victim.ts';
import { World, type WorldOptions } from './world.ts';

export interface AfterKill {
  /** The command was acknowledged. */
  done: boolean;
  /** Counts kills. */
  turn: number;
  round: number;
  /** Where it was killed, or would have been. */
  point: KillPoint;
}

/** A state to begin with, a command to kill in it, and what must hold afterwards. */
export interface Scenario {
  command: (world: World) => Command;
  /** Makes the state from an empty application. Each round has other data. */
  prepare: (world: World, round: number) => Promise<void>;
  /** Looks at what the kill left. A word for the histogram. */
  judge: (world: World, after: AfterKill) => Promise<string>;
}

/** How many kills each phase gets at least, and what the choice of calls depends on. `npm run torture` asks for more. */
const WANTED = Number(process.env['FOODSAVE_BACKUP_KILLS'] ?? 30);
const SEED = process.env['FOODSAVE_BACKUP_SEED'] ?? '0';
/** For a test that runs one campaign, in ms: thirty times what it takes on an idle machine. */
export const CAMPAIGN_MS = 120_000 + WANTED * 120_000;
/** A command's shortest phase, an unlink and a sync, offers four kills in a round. */
const ROUNDS_MAX = Math.ceil(WANTED / 2);
/** In a create: all of its packs are written, and nothing refers to them. */
const ORPHANS: KillPoint = { phase: 'read back', at: 1, moment: 'before' };

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
    const bundle = this.#temp.join('bundle');
    if (round % 2 === 1) await leaveOrphans(bundle, world);
    const template = this.#temp.join(`round-${round}`);
    await copyInto(world.path, template);
    const command = scenario.command(world);
    const told = await new Victim(bundle, world).trace(command);
    const points = [...tally.keys()].flatMap((phase) => choose(told, phase, missing(phase), round));
    let next = new Victim(bundle, world);
    try {
      for (const point of points) {
        await copyInto(template, world.path);
        const victim = next;
        const killed = await victim.kill(command, point);
        next = new Victim(bundle, world);
        const after = { done: killed === 'done', turn: this.#turn++, round, point };
        const where = killed === 'done' ? 'done' : `${point.moment} ${killed.name} ${killed.path}`;
        const outcome = await scenario.judge(world, after).catch((error: unknown) => {
          throw new Error(`Killed in "${point.phase}", round ${round}, call ${point.at}: ${where}`, { cause: error });
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

/** What a create leaves that was killed before this: its lease, its private directory, and packs that nothing refers to. */
async function leaveOrphans(bundle: string, world: World): Promise<void> {
  const command = { command: 'create', name: 'orphan', trigger: 'manual' } as const;
  const killed = await new Victim(bundle, world).kill(command, ORPHANS);
  expect(killed).toMatchObject({ phase: ORPHANS.phase });
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
  const shift = createHash('sha256').update(`${SEED} ${round}`).digest().readUInt32LE() % all.length;
  return Array.from(
    { length: wanted },
    (_, i) => all[(Math.floor((i * all.length) / wanted) + shift) % all.length] as T,
  );
}

/** Makes `to` hold exactly what `from` holds, with its times. In this process: a `cp` for each kill would cost more than the kill. */
export async function copyInto(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const name of await readdir(to)) await rm(join(to, name), { recursive: true });
  cpSync(from, to, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
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
