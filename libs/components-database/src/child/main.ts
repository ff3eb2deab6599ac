import { serializeError } from '@foodsave-backup/kernel';
import type { BindingChoice, SqliteBinding } from './binding.ts';
import { loadBinding } from './load-binding.ts';
import { captureDatabase } from './capture.ts';
import { databaseFacts } from './facts.ts';
import { probeDatabase } from './probe.ts';
import type { ChildMessage, ChildOperations, ChildRequest, OperationName } from './protocol.ts';
import { compareDatabases } from './compare.ts';
import { hashFile, printsOf } from './files.ts';
import { PageServer } from './page-server.ts';
import { Replacer } from './replace.ts';
import { StillSource } from './still.ts';

type Handlers = {
  [K in OperationName]: (request: ChildOperations[K]['request']) => Promise<ChildOperations[K]['response']>;
};

function send(message: ChildMessage): void {
  process.send?.(message);
}

function handlers(binding: SqliteBinding): Handlers {
  const replacer = new Replacer(binding);
  const pages = new PageServer();
  const still = new StillSource(binding, pages);
  return {
    probe: (request) => probeDatabase(binding, request),
    capture: (request) =>
      captureDatabase(binding, request, () => {
        send({ type: 'pinned' });
      }),
    openStill: (request) => still.open(request),
    serveCopy: ({ path, exchange }) => {
      pages.open(path, exchange);
      return Promise.resolve({});
    },
    pages: (request) => Promise.resolve(pages.copyOut(request)),
    hashPages: (request) => Promise.resolve(pages.hash(request)),
    digest: () => Promise.resolve(pages.digest()),
    isStill: () => still.isStill(),
    hashStill: (request) => still.hash(request),
    facts: (request) => databaseFacts(binding, request),
    prepareReplace: (request) => replacer.prepare(request),
    replace: () => replacer.replace(),
    lookBack: () => replacer.lookBack(),
    retract: (request) => replacer.retract(request),
    print: (request) => printsOf(request.path),
    compare: (request) => compareDatabases(binding, request),
    hash: (request) => hashFile(request.path),
  };
}

/** They take no locks and close nothing: they may come in between. */
const BESIDE: ReadonlySet<OperationName> = new Set(['pages', 'hashPages', 'digest']);

/** One at a time, in order: SQLite's locks are per process, and a raw read must never meet an open connection. */
function serve(choice: BindingChoice): void {
  const ready = loadBinding(choice).then(handlers);
  // Its failure is the answer to every call.
  ready.catch(() => undefined);
  let queue: Promise<void> = Promise.resolve();
  process.on('message', (message) => {
    const request = message as ChildRequest;
    if (BESIDE.has(request.operation)) void answer(ready, request);
    else queue = queue.then(() => answer(ready, request));
  });
}

async function answer(ready: Promise<Handlers>, { id, operation, request }: ChildRequest): Promise<void> {
  try {
    const handle = (await ready)[operation] as (request: unknown) => Promise<unknown>;
    send({ type: 'done', id, response: await handle(request) });
  } catch (error) {
    send({ type: 'failed', id, error: serializeError(error) });
  }
}

// The parent is gone: nothing here is worth finishing, and nobody else would end this process. SIGKILL, because an ordinary
// exit waits for the thread pool.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
// Ctrl-C on a terminal reaches the whole group; the parent decides what it means.
process.on('SIGINT', () => undefined);
const [, , choice] = process.argv;
serve(choice === 'sqlite3' || choice === 'better-sqlite3' ? choice : 'auto');
