// Writes golden repositories that are not there yet, and what is expected of all. Those that are there are of a frozen format and stay.
// Read what changes in expected.json:
//
//   node --conditions=@foodsave-backup/source libs/repository/src/testing/write-golden.ts
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { keysOf, SECRET } from './backups.ts';
import { expectedEntry, GOLDEN, judge, loadGolden, makeGolden, TREES, type Expected } from './golden.ts';

const expected: Expected = { secret: SECRET, trees: {}, repositories: {} };
for (const [name, files] of Object.entries(TREES)) {
  expected.trees[name] = Object.fromEntries(
    Object.entries(files).map(([path, content]) => [path, expectedEntry(content)]),
  );
}
for (const [folder, { storage, encrypted }] of await makeGolden()) {
  for (const key of existsSync(join(GOLDEN, folder)) ? [] : await keysOf(storage)) {
    const path = join(GOLDEN, folder, key);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, await storage.get(key));
  }
  expected.repositories[folder] = await judge(await loadGolden(folder), encrypted);
}
await writeFile(join(GOLDEN, 'expected.json'), `${JSON.stringify(expected, null, 2)}\n`);
