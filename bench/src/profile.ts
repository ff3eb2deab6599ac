import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** What V8 writes with --cpu-prof; times in microseconds. */
interface CpuProfile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[];
  startTime: number;
  endTime: number;
  samples: number[];
  timeDeltas: number[];
}

/** Where one thread spent its time. */
export interface ThreadTimes {
  /** `process 123, thread 0`: thread 0 is the main one. */
  thread: string;
  /** From its first to its last moment, in seconds. */
  seconds: number;
  /** Of them, those in which it did not wait. */
  busySeconds: number;
  /** Seconds in a function itself, without those that it calls; the largest first. */
  functions: { name: string; seconds: number }[];
}

/** Throws where the text is not a profile. */
export function summarizeProfile(name: string, text: string): ThreadTimes {
  const profile = JSON.parse(text) as Partial<CpuProfile>;
  const { nodes, samples, timeDeltas, startTime, endTime } = profile;
  if (!nodes || !samples || !timeDeltas || startTime === undefined || endTime === undefined) {
    throw new Error(`${name} is not a CPU profile of V8`);
  }
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const times = new Map<string, number>();
  let at = startTime;
  samples.forEach((node, i) => {
    at += timeDeltas[i] ?? 0;
    // A sample stands for the time until the next one.
    const until = i + 1 < samples.length ? at + (timeDeltas[i + 1] ?? 0) : endTime;
    const key = names.get(node) ?? '(unknown)';
    times.set(key, (times.get(key) ?? 0) + Math.max(0, until - at) / 1e6);
  });
  const seconds = (endTime - startTime) / 1e6;
  const functions = [...times].map(([name, spent]) => ({ name, seconds: spent }));
  functions.sort((a, b) => b.seconds - a.seconds || (a.name < b.name ? -1 : 1));
  return { thread: threadOf(name), seconds, busySeconds: seconds - (times.get('(idle)') ?? 0), functions };
}

function nameOf({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  const name = functionName === '' ? '(anonymous)' : functionName;
  if (url === '') return name;
  const short = url
    .replace(/^file:\/\//, '')
    .split('/')
    .slice(-4)
    .join('/');
  return `${name} ${short}:${lineNumber + 1}`;
}

/** Node names them CPU.<day>.<time>.<process>.<thread>.<number>.cpuprofile. */
function threadOf(name: string): string {
  const [, pid, thread] = /^CPU\.\d+\.\d+\.(\d+)\.(\d+)\.\d+\.cpuprofile$/.exec(basename(name)) ?? [];
  return pid === undefined || thread === undefined ? basename(name) : `process ${pid}, thread ${thread}`;
}

/** Every profile in a directory, the busiest thread first. */
export function summarizeProfiles(directory: string): ThreadTimes[] {
  const names = readdirSync(directory).filter((name) => name.endsWith('.cpuprofile'));
  return names
    .map((name) => summarizeProfile(name, readFileSync(join(directory, name), 'utf8')))
    .sort((a, b) => b.busySeconds - a.busySeconds);
}

/** Tables in Markdown, one a thread. Functions below one in a hundred of the busy time are left out. */
export function profileTables(threads: readonly ThreadTimes[], most = 20): string {
  return threads
    .map(({ thread, seconds, busySeconds, functions }) => {
      const rows = functions
        .filter(({ name, seconds: spent }) => name !== '(idle)' && spent >= busySeconds / 100)
        .slice(0, most)
        .map(
          ({ name, seconds: spent }) =>
            `| \`${name}\` | ${spent.toFixed(2)} s | ${((100 * spent) / busySeconds).toFixed(0)} % |`,
        );
      const head = `${thread}: busy ${busySeconds.toFixed(2)} s of ${seconds.toFixed(2)} s`;
      return [head, '', '| function, itself | time | of busy |', '| --- | ---: | ---: |', ...rows].join('\n');
    })
    .join('\n\n');
}
