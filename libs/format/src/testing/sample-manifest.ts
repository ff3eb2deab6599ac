import type { Manifest, RepositoryKeys } from '../index.ts';

/** A backup of one component, with every property set. */
export function sampleManifest(keys: RepositoryKeys): Manifest {
  return {
    repositoryId: keys.repositoryId.toString('hex'),
    name: 'full_backup_20261123_040000',
    id: '01kaqxg0000000000000000000',
    createdAt: '2026-11-23T04:00:00.000Z',
    finishedAt: '2026-11-23T04:00:02.500Z',
    files: 3,
    sizeBytes: 4000,
    storedBytes: 1200,
    folders: [{ folder: 'files', files: 3, sizeBytes: 4000, storedBytes: 1200 }],
    status: 'complete',
    durationMs: 2500,
    trigger: 'manual',
    tags: ['nightly'],
    application: 'example',
    software: '0.1.0',
    captureSkewMs: 0,
    verification: { level: 'new', status: 'ok', at: '2026-11-23T04:00:02.000Z', checkedBytes: 1200 },
    components: {
      'files:a': {
        type: 'files',
        driver: 'directory',
        status: 'complete',
        files: 3,
        directories: 1,
        links: 0,
        sizeBytes: 4000,
        storedBytes: 1200,
        capturedAt: '2026-11-23T04:00:01.000Z',
        root: '11'.repeat(32),
        facts: { note: 'secret fact' },
      },
    },
  };
}
