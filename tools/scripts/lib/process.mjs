import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import path from 'node:path';
import { BIN, ROOT } from './paths.mjs';

const MAX_KEPT = 400_000;

/** The environment with `node_modules/.bin` first, so that `#!/usr/bin/env node` finds the Node.js that the project brings. */
export function withBin(extra = {}) {
  return { ...process.env, PATH: [BIN, ...pathWithoutBins()].join(path.delimiter), ...extra };
}

/** The environment without any `node_modules/.bin`: for npm, which would delete the Node.js that it runs on. */
export function withoutBin(extra = {}) {
  return { ...process.env, PATH: pathWithoutBins().join(path.delimiter), ...extra };
}

function pathWithoutBins() {
  const bins = `${path.sep}node_modules${path.sep}.bin`;
  return (process.env.PATH ?? '').split(path.delimiter).filter((dir) => dir !== '' && !dir.endsWith(bins));
}

/** The exit code that a shell would report. */
function exitCode(code, signal) {
  return code ?? 128 + (constants.signals[signal] ?? 0);
}

/** Runs a command with the terminal's output and no input; resolves to its exit code. */
export function stream(command, args, { env = withBin(), cwd = ROOT } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(exitCode(code, signal)));
  });
}

/** Runs a command in silence; resolves to its exit code and its interleaved output (the end of it, when it is long). */
export function capture(command, args, { env = withBin(), cwd = ROOT } = {}) {
  return new Promise((resolve, reject) => {
    let output = '';
    const keep = (chunk) => {
      output = (output + chunk).slice(-MAX_KEPT);
    };
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code: exitCode(code, signal), output }));
  });
}

/**
 * Runs a command that takes the terminal over and passes signals on to it. A terminal sends Ctrl+C to the whole process
 * group, so it is passed on only where there is no terminal.
 */
export function handOver(command, args, { env = withBin(), cwd = ROOT } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: 'inherit' });
    const onInterrupt = () => {
      if (!process.stdin.isTTY) child.kill('SIGINT');
    };
    const onTerminate = () => child.kill('SIGTERM');
    const onHangUp = () => child.kill('SIGHUP');
    process.on('SIGINT', onInterrupt);
    process.on('SIGTERM', onTerminate);
    process.on('SIGHUP', onHangUp);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      process.off('SIGINT', onInterrupt);
      process.off('SIGTERM', onTerminate);
      process.off('SIGHUP', onHangUp);
      resolve(exitCode(code, signal));
    });
  });
}

/** At most `count` lines of an output: its beginning, where the cause often stands, and its end. */
export function excerpt(output, count) {
  const lines = output.trimEnd().split('\n');
  if (lines.length <= count) return lines.join('\n');
  const head = Math.floor(count / 3);
  return [...lines.slice(0, head), '…', ...lines.slice(head - count)].join('\n');
}
