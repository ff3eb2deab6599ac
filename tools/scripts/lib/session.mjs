const START = '<!-- session: written by npm run readme -->\n```console\n';
const END = '\n```\n<!-- /session -->';

function borders(readme) {
  const start = readme.indexOf(START);
  const end = readme.indexOf(END, start);
  if (start < 0 || end < 0) throw new Error('README.md has lost the marks of its session');
  return { start: start + START.length, end };
}

export function sessionIn(readme) {
  const { start, end } = borders(readme);
  return readme.slice(start, end);
}

export function replaceSession(readme, session) {
  const { start, end } = borders(readme);
  return readme.slice(0, start) + session + readme.slice(end);
}

/** Sizes of packs differ by a few bytes between machines (inode numbers are stored), durations by more. */
const SIZE_TOLERANCE = 0.05;
/** Of a small size the last printed digit: 1.4 kB here is 1.5 kB there. Counts are whole and stay exact. */
const DIGIT_TOLERANCE = 0.2;
const MOMENTS = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|\bin \d+(\.\d+)? (ms|s|min)\b|just now|\d+ s ago/g;
const NUMBER = /\d+(?:[.,]\d+)*/g;

/** The lines of two sessions that say something different; times count as equal, sizes within a tolerance. */
export function differences(expected, actual) {
  const [a, b] = [expected, actual].map((text) => text.replace(MOMENTS, '*').replace(/ +/g, ' ').split('\n'));
  const found = [];
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    if (!alike(a[i] ?? '', b[i] ?? '')) found.push(`README: ${a[i] ?? '(nothing)'}`, `now:    ${b[i] ?? '(nothing)'}`);
  }
  return found;
}

function alike(a, b) {
  if (a.replace(NUMBER, '#') !== b.replace(NUMBER, '#')) return false;
  const numbers = (line) => (line.match(NUMBER) ?? []).map((text) => Number(text.replaceAll(',', '')));
  const [x, y] = [numbers(a), numbers(b)];
  return x.every(
    (value, i) => Math.abs(value - y[i]) <= Math.max(DIGIT_TOLERANCE, SIZE_TOLERANCE * Math.max(value, y[i])),
  );
}
