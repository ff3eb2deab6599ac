import type { ComponentDriver, RestoreSink } from '@foodsave-backup/component';
import { DRIVERS } from './world.ts';

/** A moment of a live restore: `before commit database:main`, `after prepare files`. */
export type Moment = `${'before' | 'after'} ${'write' | 'prepare' | 'commit' | 'check' | 'revert' | 'close'} ${string}`;

const METHODS: readonly PropertyKey[] = ['write', 'prepare', 'commit', 'check', 'revert', 'close'];

/** The real drivers, whose live sinks tell of each moment, and wait for what hears of it. Throwing there is the sink's failure. */
export function hookedDrivers(
  on: (moment: Moment) => Promise<void> | void,
  drivers: readonly ComponentDriver[] = DRIVERS,
): readonly ComponentDriver[] {
  return drivers.map((driver) => ({
    ...driver,
    open: (...args) => {
      const component = driver.open(...args);
      const openRestore: typeof component.openRestore = async (run) => {
        const sink = await component.openRestore(run);
        return run.destination.kind === 'live' ? hookedSink(sink, component.instance, on) : sink;
      };
      return Object.assign(Object.create(component) as typeof component, { openRestore });
    },
  }));
}

function hookedSink(sink: RestoreSink, instance: string, on: (moment: Moment) => Promise<void> | void): RestoreSink {
  return new Proxy(sink, {
    get(target, name): unknown {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      if (!METHODS.includes(name)) return value.bind(target) as unknown;
      return async (...args: unknown[]): Promise<unknown> => {
        const of = `${String(name)} ${instance}` as 'commit files';
        await on(`before ${of}`);
        const result: unknown = await Reflect.apply(value, target, args);
        await on(`after ${of}`);
        return result;
      };
    },
  });
}
