import { readdirSync } from 'node:fs';
import { constants, getPriority, setPriority } from 'node:os';

const NICE = constants.priority.PRIORITY_BELOW_NORMAL;

/**
 * Lets everything else on the machine go first: nice 10, unless this process is nicer already. Linux keeps the value for each
 * thread, and new ones take that of the thread that makes them: those that Node.js has started by now are told one by one.
 */
export function giveWay(): void {
  for (const id of threadIds()) {
    try {
      if (getPriority(id) < NICE) setPriority(id, NICE);
    } catch {
      // A thread that has ended meanwhile. Elsewhere it is a matter of politeness, not of the run.
    }
  }
}

function threadIds(): number[] {
  try {
    return readdirSync('/proc/self/task').map(Number);
  } catch {
    return [process.pid];
  }
}
