const UNITS = ['kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** `1.8 GB`: powers of 1000, one decimal below 100 of a unit. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${String(Math.round(bytes))} B`;
  let value = bytes / 1000;
  for (const unit of UNITS) {
    const text = value < 99.95 ? value.toFixed(1) : value.toFixed(0);
    // What rounds to 1000 belongs to the next unit.
    if (Number(text) < 1000 || unit === 'PB') return `${text} ${unit}`;
    value /= 1000;
  }
  return `${String(bytes)} B`;
}

/** `45 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`: the two largest units. */
export function formatDuration(ms: number): string {
  if (ms < 10_000) return `${(Math.max(0, ms) / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${String(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return pair(minutes, 'min', seconds % 60, 's');
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return pair(hours, 'h', minutes % 60, 'min');
  return pair(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${String(large)} ${largeUnit}` : `${String(large)} ${largeUnit} ${String(small)} ${smallUnit}`;
}

/** `0:08`, `12:30`, `1:02:03`. */
export function formatClock(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const two = (value: number): string => String(value).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours === 0
    ? `${String(minutes)}:${two(seconds % 60)}`
    : `${String(hours)}:${two(minutes)}:${two(seconds % 60)}`;
}

const AGES: readonly (readonly [number, string])[] = [
  [365 * 86_400, 'y'],
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
];

/** How long before `now` (ms since the epoch) an ISO time was: `3 h ago`, `just now`, `in 2 d`. */
export function formatAge(iso: string, now: number): string {
  const seconds = Math.round((now - Date.parse(iso)) / 1000);
  if (!Number.isFinite(seconds)) return 'unknown';
  const distance = Math.abs(seconds);
  if (distance < 60) return seconds >= 0 ? 'just now' : 'in a moment';
  const [size, unit] = AGES.find(([least]) => distance >= least) ?? [60, 'min'];
  const text = `${String(Math.floor(distance / size))} ${unit}`;
  return seconds >= 0 ? `${text} ago` : `in ${text}`;
}

/** `3 h ago (2026-11-23T02:00:00Z)` */
export function formatWhen(iso: string, now: number): string {
  return `${formatAge(iso, now)} (${shortIso(iso)})`;
}

/** An ISO time without its milliseconds. */
export function shortIso(iso: string): string {
  return iso.replace(/\.\d+Z$/, 'Z');
}
