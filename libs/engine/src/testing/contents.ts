import type { Piece } from '@foodsave-backup/kernel';
import { readPieces, type FileEntry } from '@foodsave-backup/repository';
import { openRepository } from '../opened.ts';
import { pathToNames } from '../names-path.ts';
import type { EngineDeps } from '../types.ts';

/** What a backup holds of one file of the component `files`. */
export async function contentsOf(
  deps: EngineDeps,
  name: string,
  path: string,
): Promise<{ entry: FileEntry; pieces: Piece[] }> {
  const repository = await openRepository(deps);
  const { components } = await repository.manifests.get(name);
  const { trees, blobs } = repository.reader(await repository.loadIndex());
  const entry = await trees.find(Buffer.from(components['files']?.root ?? '', 'hex'), pathToNames(path));
  if (entry?.type !== 'file') throw new Error(`${path} is no file of the backup`);
  const pieces: Piece[] = [];
  for await (const piece of readPieces(blobs, entry)) pieces.push(piece);
  return { entry, pieces };
}
