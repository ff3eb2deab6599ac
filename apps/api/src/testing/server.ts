import { execFile, spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const START_MS = 60_000;

/** A port of the loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** The environment of a server under test: nothing of the machine's own configuration, and an end with its parent. */
function environment(own: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const { PATH, HOME } = process.env;
  return { PATH, HOME, TZ: 'UTC', BACKUP_EXIT_WITH_STDIN: '1', ...own };
}

export interface Ended {
  code: number | null;
  out: string;
  err: string;
}

/** The built server, in a process of its own. Its streams are pipes: when the test process dies, it ends. */
export class ServerProcess {
  out = '';
  err = '';
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Ended>;

  constructor(cwd: string, env: Readonly<Record<string, string>>, args: readonly string[] = []) {
    if (!existsSync(MAIN)) throw new Error('apps/api has not been built: run "npm run build"');
    this.child = spawn(process.execPath, [MAIN, ...args], { cwd, env: environment(env), stdio: 'pipe' });
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => (this.out += text));
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => (this.err += text));
    this.ended = once(this.child, 'close').then(([code]) => ({
      code: code as number | null,
      out: this.out,
      err: this.err,
    }));
  }

  /** Waits until the log says `text`. */
  async says(text: string): Promise<void> {
    const late = AbortSignal.timeout(START_MS);
    while (!this.err.includes(text) && !this.out.includes(text)) {
      if (this.child.exitCode !== null) throw new Error(`The server ended:\n${this.out}${this.err}`);
      await Promise.race([
        once(this.child.stderr, 'data', { signal: late }),
        once(this.child.stdout, 'data', { signal: late }),
        this.ended,
      ]);
    }
  }

  /** Ends its standard input, and with it the server. */
  stop(): Promise<Ended> {
    this.child.stdin.end();
    return this.ended;
  }
}

export interface Curl {
  status: number;
  body: string;
}

/** `curl ARGUMENTS`, as a person types it, and what it got. */
export function curl(...args: string[]): Promise<Curl> {
  return new Promise((resolve, reject) => {
    execFile('curl', ['-sS', '-w', '\n%{http_code}', ...args], { maxBuffer: 64 << 20 }, (error, stdout) => {
      if (error !== null) {
        reject(new Error(`curl failed: ${error.message}`));
        return;
      }
      const end = stdout.lastIndexOf('\n');
      resolve({ status: Number(stdout.slice(end + 1)), body: stdout.slice(0, end) });
    });
  });
}

export function logLines(directory: string): Record<string, unknown>[] {
  const text = readFileSync(path.join(directory, 'logs/app.log'), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
