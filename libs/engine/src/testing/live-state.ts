import { existsSync } from 'node:fs';
import { treeOf, World } from './world.ts';

/** Everything of the live application but what SQLite keeps beside the database, and the rows instead of its bytes. */
export async function stateOf(world: World): Promise<Record<string, string>> {
  const tree = await treeOf(world.join('data'));
  const state = Object.fromEntries(Object.entries(tree).filter(([path]) => !path.startsWith('app.db')));
  return world.kinds.includes('database')
    ? { ...state, rows: existsSync(world.join('data/app.db')) ? world.rows() : 'none' }
    : state;
}

/** An application with a backup, then changed: a file other, one gone, one new, other rows. */
export async function changed(
  kinds: ('database' | 'files' | 'config' | 'vector_store')[],
): Promise<{ world: World; then: Record<string, string>; now: Record<string, string> }> {
  const world = await World.create({ kinds });
  await world.create('one');
  const then = await stateOf(world);
  if (kinds.includes('database'))
    world.sql("DELETE FROM items WHERE name = 'milk'; INSERT INTO items (name) VALUES ('caviar')");
  if (kinds.includes('files')) {
    await world.write('data/files/a.txt', 'overwritten\n');
    await world.remove('data/files/sub/deep');
    await world.write('data/files/extra/new.txt', 'new\n');
  }
  if (kinds.includes('config')) await world.write('data/config/app.json', '{ "theme": "light" }\n');
  return { world, then, now: await stateOf(world) };
}
