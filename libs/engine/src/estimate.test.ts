import { stat } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import type { ManifestComponent } from '@foodsave-backup/repository';
import { describe, expect, it } from 'vitest';
import { CaptureProgress } from './capture.ts';
import { withEstimate } from './estimate.ts';
import { World } from './testing/world.ts';
import type { RunContext } from './types.ts';

const context = { progress: () => undefined } as unknown as RunContext;

/** `known`: instances that the newest backup has. */
function jobOf(
  world: World,
  known: Readonly<Record<string, Partial<ManifestComponent>>>,
): Parameters<typeof withEstimate>[0] {
  const deps = world.deps();
  return {
    deps,
    specs: deps.config.components,
    scratch: world.join('state'),
    encrypted: false,
    before: (instance) => known[instance] as ManifestComponent | undefined,
  };
}

/** A capture that goes on until somebody has found out how much there is. */
async function untilKnown(progress: CaptureProgress): Promise<void> {
  for (let i = 0; progress.totals === undefined && i < 600; i++) {
    progress.add(1);
    await setTimeout(25);
  }
}

const before = { sizeBytes: 1000, files: 3, directories: 2, links: 1 };

describe('how much there is to back up', () => {
  it('is what the newest backup says, from the start', async () => {
    await using world = await World.create({ kinds: ['database'] });
    const progress = new CaptureProgress(context);
    const seen = await withEstimate(jobOf(world, { 'database:main': before }), progress, async () => progress.totals);
    expect(seen).toEqual({ bytes: 1000, files: 6 });
  });

  it('is found out beside the capture where there is no backup yet', async () => {
    await using world = await World.create({ kinds: ['database', 'files'] });
    const { size } = await stat(world.join('data/app.db'));
    const progress = new CaptureProgress(context);
    await withEstimate(jobOf(world, { files: before }), progress, () => untilKnown(progress));
    expect(progress.totals).toEqual({ bytes: 1000 + size, files: 7 });
  });

  it('leaves out a source that cannot be looked at', async () => {
    await using world = await World.create({ kinds: ['database', 'files'] });
    const { size } = await stat(world.join('data/app.db'));
    const job = jobOf(world, {});
    await world.remove('data/files');
    const progress = new CaptureProgress(context);
    await withEstimate(job, progress, () => untilKnown(progress));
    expect(progress.totals).toEqual({ bytes: size, files: 1 });
  });

  it('is not looked for after the work, and fails nothing', async () => {
    await using world = await World.create({ kinds: ['files'] });
    const progress = new CaptureProgress(context);
    const job = jobOf(world, {});
    expect(await withEstimate(job, progress, async () => 'done')).toBe('done');
    await expect(withEstimate(job, progress, () => Promise.reject(new Error('the work failed')))).rejects.toThrow(
      'the work failed',
    );
    expect(progress.totals).toBeUndefined();
  });
});
