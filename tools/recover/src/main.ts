import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as zlib from 'node:zlib';
import { run } from './cli.ts';
import type { Io } from './io.ts';
import { askHidden } from './prompt.ts';

/** Says why this Node.js cannot run the program; undefined when it can. */
function tooOld(): string | undefined {
  if (typeof Reflect.get(zlib, 'zstdDecompressSync') === 'function') return undefined;
  return (
    `recover: This is Node.js ${process.versions.node}, which cannot decompress zstd; 22.15 or newer is needed.\n` +
    'Get a newer Node.js from https://nodejs.org (one folder to unpack, no installation) and run this with its bin/node.\n'
  );
}

function terminal(): Io {
  const { stdin, stderr, stdout } = process;
  return {
    out: (text) => stdout.write(text),
    err: (text) => stderr.write(text),
    progress: stderr.isTTY ? (text) => stderr.write(`\r\u001b[K${text}`) : undefined,
    env: process.env,
    cwd: process.cwd(),
    home: dirname(fileURLToPath(import.meta.url)),
    ask: stdin.isTTY ? () => askHidden(stdin, stderr, 'Key of the repository (not shown): ') : undefined,
  };
}

const problem = tooOld();
if (problem === undefined) {
  // A reader that goes away ("| head") is no error worth a stack trace.
  process.stdout.on('error', () => process.exit(1));
  process.exitCode = await run(process.argv.slice(2), terminal());
} else {
  process.stderr.write(problem);
  process.exitCode = 1;
}
