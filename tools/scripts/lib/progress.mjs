const EVERY_MS = { terminal: 1_000, log: 15_000 };

/**
 * Shows that something is still going on while `work` runs: one line that is rewritten on a terminal, a line every 15
 * seconds in a log. Ends with the time it took. `work` resolves to what `capture` resolves to.
 */
export async function withHeartbeat(title, work) {
  const terminal = process.stderr.isTTY === true;
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1_000);
  const show = (text, end) => process.stderr.write(terminal ? `\r\u001b[2K${text}${end ? '\n' : ''}` : `${text}\n`);
  show(`${title} …`, false);
  const timer = setInterval(
    () => show(`${title} … ${seconds()} s`, false),
    terminal ? EVERY_MS.terminal : EVERY_MS.log,
  );
  let outcome = 'failed';
  try {
    const result = await work();
    if (result.code === 0) outcome = 'done';
    return result;
  } finally {
    clearInterval(timer);
    show(`${title}: ${outcome} after ${seconds()} s`, true);
  }
}
