/**
 * Runs `work` on up to `width` items at once and yields the results in the order of the items. Starts are in order too.
 * When the consumer stops early, `dispose` gets each result that was not handed out.
 */
export async function* inOrder<In, Out>(
  items: readonly In[],
  width: number,
  work: (item: In) => Promise<Out>,
  dispose: (result: Out) => Promise<void>,
): AsyncGenerator<Out, void, undefined> {
  const running: Promise<Out>[] = [];
  let next = 0;
  const fill = (): void => {
    while (running.length < width && next < items.length) {
      const promise = work(items[next++] as In);
      // Awaited below, in order; until then a failure must not count as unhandled.
      promise.catch(() => undefined);
      running.push(promise);
    }
  };
  try {
    fill();
    for (let head = running.shift(); head; head = running.shift()) {
      const result = await head;
      fill();
      yield result;
    }
  } finally {
    for (const rest of await Promise.allSettled(running)) if (rest.status === 'fulfilled') await dispose(rest.value);
  }
}
