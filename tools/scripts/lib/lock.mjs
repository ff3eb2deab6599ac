import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SETUP_DIR } from './paths.mjs';

const LOCK = path.join(SETUP_DIR, 'lock');
const ASK_EVERY_MS = 500;

/** Runs `work` while no other of these scripts installs or builds in this checkout: two at once spoil node_modules. */
export async function exclusively(work) {
  mkdirSync(SETUP_DIR, { recursive: true });
  let waiting = false;
  while (!take()) {
    const holder = holderOf();
    if (holder === undefined) {
      rmSync(LOCK, { force: true }); // left behind by a process that is gone
      continue;
    }
    if (!waiting) console.error(`Waiting for process ${holder}, which is installing or building in this checkout …`);
    waiting = true;
    await sleep(ASK_EVERY_MS);
  }
  try {
    return await work();
  } finally {
    rmSync(LOCK, { force: true });
  }
}

function take() {
  try {
    writeFileSync(LOCK, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    return false;
  }
}

/** The process that holds the lock, if it is alive. */
function holderOf() {
  try {
    const pid = Number(readFileSync(LOCK, 'utf8'));
    if (!Number.isInteger(pid) || pid < 1) return undefined;
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    if (error.code === 'EPERM') return 'of another user';
    return undefined;
  }
}
