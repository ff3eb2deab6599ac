export * from './types.ts';
export { createCalendar } from './calendar.ts';
export type { Periods } from './calendar.ts';
export { assertRetentionPolicy, DEFAULT_RETENTION, OUTSIDE_TIERS_MS, planRetention } from './plan.ts';
