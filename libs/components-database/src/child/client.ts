import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { BackupError, deserializeError, throwIfCancelled } from '@foodsave-backup/kernel';
import type { BindingChoice } from './binding.ts';
import type { ChildMessage, ChildOperations, ChildRequest, OperationName } from './protocol.ts';

export interface SqliteChildOptions {
  binding: BindingChoice;
  /** Private directory for SQLite's own temporary files. */
  scratchDir: string;
  /** Ends the child and every call when it fires. */
  signal?: AbortSignal;
}

/** It only passes messages: what it takes is SQLite's and its buffers'. */
const SMALL_HEAP = ['--max-semi-space-size=1'];

interface PendingCall {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/**
 * A process of its own for SQLite. Two copies of the library in one process that open the same file drop each other's POSIX
 * locks (sqlite.org/howtocorrupt.html, section 2.2), and the application may be in ours. It ends with this object or with
 * this process; when it ends early every open call rejects, so nothing waits for an answer that cannot come.
 */
export class SqliteChild {
  private readonly process: ChildProcess;
  private readonly pending = new Map<number, PendingCall>();
  private readonly signal: AbortSignal | undefined;
  private readonly onAbort = (): void => {
    this.close();
  };
  private nextId = 1;
  private ended: BackupError | undefined;
  private complaint = '';
  private shielded = false;
  /** Called whenever the child fixes the state that a capture will hold. */
  onPinned: (() => void) | undefined;

  constructor(options: SqliteChildOptions) {
    throwIfCancelled(options.signal);
    this.signal = options.signal;
    const fromSource = import.meta.url.endsWith('.ts');
    this.process = fork(
      fileURLToPath(new URL(fromSource ? './main.ts' : './main.js', import.meta.url)),
      [options.binding],
      {
        serialization: 'advanced',
        execArgv: [...SMALL_HEAP, ...(fromSource ? ['--conditions=@foodsave-backup/source'] : [])],
        // Nothing of the environment: it may hold secrets, and the child needs none of it.
        env: { SQLITE_TMPDIR: options.scratchDir, TMPDIR: options.scratchDir },
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      },
    );
    this.process.stderr?.on('data', (data: Buffer) => {
      this.complaint = (this.complaint + data.toString('utf8')).slice(-2_000);
    });
    this.process.on('message', (message) => {
      this.receive(message as ChildMessage);
    });
    this.process.on('error', (error) => {
      this.end(new BackupError('COMPONENT_FAILED', 'The SQLite process could not be started', { cause: error }));
    });
    this.process.on('exit', (code, signal) => {
      const how = signal ?? `exit code ${String(code)}`;
      this.end(
        new BackupError('COMPONENT_FAILED', `The SQLite process ended unexpectedly (${how})`, {
          hint: 'Try again. If it happens again, check the memory of the machine and run npm ci for this version of Node.js.',
          cause: new Error(this.complaint),
        }),
      );
    });
    this.signal?.addEventListener('abort', this.onAbort, { once: true });
  }

  /** The process id, while it runs. */
  get pid(): number | undefined {
    return this.process.pid;
  }

  /** Runs one operation. Rejects with the child's BackupError, COMPONENT_FAILED after a crash or CANCELLED. */
  call<K extends OperationName>(
    operation: K,
    request: ChildOperations[K]['request'],
  ): Promise<ChildOperations[K]['response']> {
    return new Promise<unknown>((resolve, reject) => {
      if (this.ended !== undefined) {
        reject(this.failure(this.ended));
        return;
      }
      const message: ChildRequest<K> = { id: this.nextId++, operation, request };
      this.pending.set(message.id, { resolve, reject });
      this.process.send(message, (error) => {
        // A child that is gone also reports `exit`, which says more; this is for a message that cannot be sent at all.
        if (error !== null && this.process.connected) this.settle(message.id)?.reject(error);
      });
    }) as Promise<ChildOperations[K]['response']>;
  }

  /** From here on cancelling no longer ends the child: what it does next must not stop in the middle. */
  shield(): void {
    throwIfCancelled(this.signal);
    this.signal?.removeEventListener('abort', this.onAbort);
    this.shielded = true;
  }

  /**
   * Ends the child at once. SIGKILL on purpose: closing a database that was replaced would delete files by name that belong
   * to its successor; whatever SQLite leaves unfinished is in private files or rolled back by the next reader.
   */
  close(): void {
    this.process.kill('SIGKILL');
    this.end(new BackupError('CANCELLED', 'The SQLite process was ended'));
  }

  private receive(message: ChildMessage): void {
    if (message.type === 'pinned') this.onPinned?.();
    else if (message.type === 'done') this.settle(message.id)?.resolve(message.response);
    else this.settle(message.id)?.reject(deserializeError(message.error));
  }

  private settle(id: number): PendingCall | undefined {
    const call = this.pending.get(id);
    this.pending.delete(id);
    return call;
  }

  private end(reason: BackupError): void {
    this.ended ??= reason;
    this.signal?.removeEventListener('abort', this.onAbort);
    for (const id of [...this.pending.keys()]) this.settle(id)?.reject(this.failure(this.ended));
  }

  private failure(reason: BackupError): BackupError {
    if (this.shielded) return reason;
    try {
      throwIfCancelled(this.signal);
      return reason;
    } catch (cancelled) {
      return cancelled instanceof BackupError ? cancelled : reason;
    }
  }
}
