import { availableParallelism } from 'node:os';

/**
 * Threads of a run beside its main one where nobody says how many: one for each processor, since the main one waits for them
 * much of the time. The application goes before the runs of the server: see `giveWay`.
 */
export function usualThreads(): number {
  return Math.min(64, availableParallelism());
}

/** For files beside them: a pack that is being written, and a file that is being read. */
const FILE_THREADS = 2;

/**
 * UV_THREADPOOL_SIZE of a process with so many threads for its data: files are read and written on the same pool, and must not
 * wait for what is compressed. libuv reads the variable once, when the pool is first used.
 */
export function poolSize(threads: number): string {
  return String(threads + FILE_THREADS);
}

/**
 * The same for this process, before it touches its first file. That is before its configuration is read, so that the usual
 * number of threads counts; what the environment says stays.
 */
export function sizeThreadPool(): void {
  process.env['UV_THREADPOOL_SIZE'] ??= poolSize(usualThreads());
}
