import { createWriteStream } from 'node:fs';
import { statfs } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { BackupError, systemClock, toBackupError } from '@foodsave-backup/kernel';
import { withScratch } from '@foodsave-backup/runtime';
import { header } from './messages.ts';
import type { HttpRequest } from './messages.ts';

const TYPE = /^application\/(zip|gzip|x-gzip|x-zip-compressed|octet-stream)\s*(;|$)/i;
/** The server has its own files on that disk. */
const LIMITS: UploadLimits = { reserveBytes: 64 * 1024 * 1024, idleMs: 60_000 };
/** The disk is looked at after each of so many bytes. */
const LOOK_BYTES = 16 * 1024 * 1024;

/** Throws VALIDATION_FAILED for a body that is not declared as an archive: no form of another site sends such a type. */
export function assertArchiveBody(request: HttpRequest): void {
  if (TYPE.test(header(request, 'content-type') ?? '')) return;
  throw new BackupError('VALIDATION_FAILED', 'The body of the request is not declared as an archive', {
    hint: 'Send the archive itself as the body, with Content-Type: application/zip or application/gzip.',
  });
}

export interface ReceivedArchive {
  file: string;
  /** Removes it, and resolves when it is gone. */
  release: () => Promise<void>;
}

export interface UploadLimits {
  /** What is left of the disk, in bytes. */
  reserveBytes: number;
  /** How long nothing may come, in ms. */
  idleMs: number;
}

/**
 * Takes the body of a request into the private scratch directory (0600), as far as there is room. Throws NO_SPACE, and
 * IO_ERROR when the client goes away or stops sending.
 */
export function receivedArchive(
  request: HttpRequest,
  stateDir: string,
  limits: UploadLimits = LIMITS,
): Promise<ReceivedArchive> {
  return new Promise((resolve, reject) => {
    const kept = withScratch({ config: { stateDir }, clock: systemClock }, async (directory) => {
      const file = path.join(directory, 'archive');
      await receive(request, file, limits);
      await new Promise<void>((done) => {
        resolve({
          file,
          release: () => {
            done();
            // What cannot be removed goes with the next scratch directory that is made.
            return kept.catch(() => undefined);
          },
        });
      });
    });
    kept.catch(reject);
  });
}

async function receive(request: HttpRequest, file: string, { reserveBytes, idleMs }: UploadLimits): Promise<void> {
  const declared = Number(header(request, 'content-length') ?? 0);
  let room = await roomBeside(file, reserveBytes);
  if (declared > room) throw noSpace();
  // Others write to the disk too: now and then it is looked at again.
  const guarded = async function* (body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let unseen = 0;
    for await (const chunk of body) {
      unseen += chunk.length;
      if (unseen > Math.min(room, LOOK_BYTES)) {
        room = await roomBeside(file, reserveBytes);
        if (chunk.length > room) throw noSpace();
        unseen = chunk.length;
      }
      yield chunk;
    }
  };
  request.setTimeout(idleMs, () => request.destroy(silent()));
  try {
    // The request stays open when this fails: it is to be answered in words.
    const body = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
    await pipeline(body, guarded, createWriteStream(file, { flags: 'wx', mode: 0o600 }));
  } catch (error) {
    throw toBackupError(error, 'IO_ERROR');
  } finally {
    request.setTimeout(0);
  }
}

async function roomBeside(file: string, reserveBytes: number): Promise<number> {
  const { bavail, bsize } = await statfs(path.dirname(file));
  return Math.max(0, bavail * bsize - reserveBytes);
}

function silent(): BackupError {
  return new BackupError('IO_ERROR', 'The upload stopped half-way', { hint: 'Nothing was imported. Send it again.' });
}

function noSpace(): BackupError {
  return new BackupError('NO_SPACE', 'There is no room for the archive in the state directory', {
    hint: 'Free some space, or import the file with the command line, which reads it where it is.',
  });
}
