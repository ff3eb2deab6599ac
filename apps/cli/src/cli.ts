import { EXIT, EXIT_CODE } from '@foodsave-backup/contracts/codes';
import { toBackupError } from '@foodsave-backup/kernel';
import { App } from './app.ts';
import { Interrupts } from './interrupts.ts';
import type { GlobalOptions, Io, OutStream } from './io.ts';
import { Output } from './output.ts';
import { buildProgram } from './program.ts';
import { parseEnd } from './usage.ts';

/** Runs the command line of a process and sets its exit code. */
export async function main(process: NodeJS.Process): Promise<void> {
  const { argv, env, stdin, stdout, stderr } = process;
  for (const stream of [stdout, stderr]) ignoreClosedReader(stream);
  const io: Io = { args: argv.slice(2), env, cwd: process.cwd(), stdin, stdout, stderr };
  const interrupts = new Interrupts(process, () => {
    // Leaves the line that a progress bar stands on.
    if (stderr.isTTY) stderr.write('\n');
    process.exit(EXIT.interrupted);
  });
  process.exitCode = await run(io, interrupts);
  interrupts.dispose();
}

/** Parses, runs and reports; never throws. Returns the exit code. */
export async function run(io: Io, interrupts: Interrupts): Promise<number> {
  let exit: number = EXIT.done;
  const program = buildProgram(io, async (work) => {
    const app = new App(io, program.opts<GlobalOptions>(), interrupts);
    try {
      exit = await work(app);
    } catch (error) {
      exit = app.out.failure(error, EXIT_CODE[toBackupError(error).code]);
    }
  });
  try {
    await program.parseAsync(io.args, { from: 'user' });
  } catch (thrown) {
    const end = parseEnd(thrown, program, io.args);
    // Parsing did not get far enough to know the options.
    if (end.kind === 'wrong') exit = new Output(io, globalsOf(io.args)).failure(end.error, EXIT.usage);
  }
  return exit;
}

function globalsOf(args: readonly string[]): GlobalOptions {
  const options = args.slice(0, args.includes('--') ? args.indexOf('--') : args.length);
  return {
    json: options.includes('--json'),
    progress: options.includes('--progress'),
    verbose: options.includes('--verbose'),
    color: !options.includes('--no-color'),
  };
}

/** `foodsave-backup list | head -1`: who has read enough closes the pipe, and that is no failure of ours. */
function ignoreClosedReader(stream: OutStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // EIO: the terminal is gone.
    if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
  });
}
