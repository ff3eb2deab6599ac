import { Writable } from 'node:stream';

const LEVELS: Readonly<Record<number, string>> = {
  10: 'TRACE',
  20: 'DEBUG',
  30: 'INFO ',
  40: 'WARN ',
  50: 'ERROR',
  60: 'FATAL',
};

interface Line {
  level?: number;
  time?: string;
  msg?: string;
  runId?: string;
  context?: string;
  code?: string;
  hint?: string;
  err?: { stack?: string };
}

/** One line of JSON as one line for people: `10:31:07 INFO  Backup full_… is complete (run 01k…)`. */
export function readable(json: string): string {
  let line: Line;
  try {
    line = JSON.parse(json) as Line;
  } catch {
    return json;
  }
  const time = line.time?.slice(11, 19) ?? '';
  const code = line.code === undefined ? '' : ` [${line.code}]`;
  const run = line.runId === undefined ? '' : ` (run ${line.runId})`;
  const head = `${time} ${LEVELS[line.level ?? 30] ?? 'INFO '} ${line.msg ?? ''}${code}${run}`;
  const more = [line.hint, line.err?.stack].flatMap((text) =>
    text === undefined ? [] : [text.replaceAll(/^/gm, '    ')],
  );
  return `${[head, ...more].join('\n')}\n`;
}

export function consoleStream(out: NodeJS.WritableStream): Writable {
  return new Writable({
    decodeStrings: false,
    write(chunk: string | Buffer, _encoding, done): void {
      for (const line of String(chunk).split('\n')) if (line !== '') out.write(readable(line));
      done();
    },
  });
}
