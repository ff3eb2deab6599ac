/** Packs that are read at once: one comes from the disk while the other is decoded. Each is about 12 MiB at most. */
export const PACKS_AT_ONCE = 2;

/**
 * The results of `work` in the order of `items`, of which up to `atOnce` are worked on. A failure is thrown in its turn; when
 * the consumer ends early, this waits for what is under way.
 */
export async function* aheadOf<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<{ item: Item; result: Result }> {
  const running: { item: Item; result: Promise<Result> }[] = [];
  let next = 0;
  const begin = (): void => {
    while (running.length < atOnce && next < items.length) {
      const item = items[next++] as Item;
      const result = work(item);
      // Thrown in its turn.
      result.catch(() => undefined);
      running.push({ item, result });
    }
  };
  try {
    begin();
    for (let first = running[0]; first !== undefined; first = running[0]) {
      yield { item: first.item, result: await first.result };
      running.shift();
      begin();
    }
  } finally {
    await Promise.allSettled(running.map(({ result }) => result));
  }
}
