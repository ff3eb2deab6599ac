/** Points of one line; those that are not above zero have no place on logarithmic axes and are left out. */
export interface Line {
  label: string;
  /** Index into COLOURS; lines of one colour belong together. */
  colour: number;
  dashed: boolean;
  points: readonly { x: number; y: number; hollow: boolean }[];
}

export type Unit = 'bytes' | 'count' | 's';

export interface Picture {
  title: string;
  x: { title: string; unit: Unit };
  y: { title: string; unit: Unit };
  lines: readonly Line[];
}

/** Each is seen on white and on the dark grey of a page at night: the background stays transparent. */
export const COLOURS = ['#2f81f7', '#d1700a', '#2da44e', '#a371f7', '#e5534b'] as const;
export const INK = '#768390';

const WIDTH = 800;
const HEIGHT = 400;
const PLOT = { left: 74, right: 560, top: 40, bottom: 344 };

interface Axis {
  low: number;
  high: number;
  ticks: number[];
}

/** From a tick at or below the smallest value to one at or above the largest; 2 and 5 between the tens when there are few. */
function axisOf(values: readonly number[]): Axis {
  const [least, most] = values.length === 0 ? [1, 10] : [Math.min(...values), Math.max(...values)];
  const from = Math.floor(Math.log10(least) + 1e-9);
  const to = Math.ceil(Math.log10(most) - 1e-9);
  const steps = to - from <= 2 ? [1, 2, 5] : [1];
  const all: number[] = [];
  for (let power = from; power <= Math.max(to, from + 1); power++)
    for (const step of steps) all.push(step * 10 ** power);
  const low = Math.max(...all.filter((tick) => tick <= least * (1 + 1e-9)));
  const high = Math.min(...all.filter((tick) => tick >= most * (1 - 1e-9) && tick > low));
  return { low, high, ticks: all.filter((tick) => tick >= low && tick <= high) };
}

const PREFIXES = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const;

export function tickText(value: number, unit: Unit): string {
  const plain = (number: number): string => String(Number(number.toPrecision(3)));
  if (unit === 's') return value < 0.1 ? `${plain(value * 1000)} ms` : `${plain(value)} s`;
  const [by, prefix] = PREFIXES.find(([least]) => value >= least * 0.9999) ?? [1, ''];
  const letters = unit === 'bytes' ? `${prefix}B` : prefix;
  return letters === '' ? plain(value / by) : `${plain(value / by)} ${letters}`;
}

const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (char) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[char] ?? '&quot;');

/** A line chart with logarithmic axes as SVG. The same picture gives the same bytes. */
export function draw(picture: Picture): string {
  const lines = picture.lines
    .map((line) => ({ ...line, points: line.points.filter(({ x, y }) => x > 0 && y > 0) }))
    .filter(({ points }) => points.length > 0);
  const points = lines.flatMap((line) => line.points);
  const [x, y] = [axisOf(points.map((point) => point.x)), axisOf(points.map((point) => point.y))];
  const part = (value: number, { low, high }: Axis): number => Math.log(value / low) / Math.log(high / low);
  const toX = (value: number): string => (PLOT.left + (PLOT.right - PLOT.left) * part(value, x)).toFixed(1);
  const toY = (value: number): string => (PLOT.bottom - (PLOT.bottom - PLOT.top) * part(value, y)).toFixed(1);
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" font-family="system-ui, sans-serif" font-size="12" fill="${INK}">`,
    `<title>${escaped(picture.title)}</title>`,
    text(PLOT.left, 22, picture.title, 'font-size="15" font-weight="600"'),
    ...x.ticks.flatMap((tick) => [
      `<path d="M${toX(tick)} ${PLOT.top}V${PLOT.bottom}" stroke="${INK}" stroke-opacity="0.25"/>`,
      text(toX(tick), PLOT.bottom + 18, tickText(tick, picture.x.unit), 'text-anchor="middle"'),
    ]),
    ...y.ticks.flatMap((tick) => [
      `<path d="M${PLOT.left} ${toY(tick)}H${PLOT.right}" stroke="${INK}" stroke-opacity="0.25"/>`,
      text(PLOT.left - 8, Number(toY(tick)) + 4, tickText(tick, picture.y.unit), 'text-anchor="end"'),
    ]),
    `<path d="M${PLOT.left} ${PLOT.top}V${PLOT.bottom}H${PLOT.right}" fill="none" stroke="${INK}"/>`,
    text((PLOT.left + PLOT.right) / 2, PLOT.bottom + 42, picture.x.title, 'text-anchor="middle"'),
    `<text transform="translate(16 ${(PLOT.top + PLOT.bottom) / 2}) rotate(-90)" text-anchor="middle">${escaped(picture.y.title)}</text>`,
  ];
  lines.forEach((line, i) => {
    const colour = COLOURS[line.colour % COLOURS.length] ?? INK;
    const stroke = `stroke="${colour}" stroke-width="2" fill="none"${line.dashed ? ' stroke-dasharray="6 4"' : ''}`;
    const sorted = [...line.points].sort((a, b) => a.x - b.x);
    const way = sorted.map((point, n) => `${n === 0 ? 'M' : 'L'}${toX(point.x)} ${toY(point.y)}`).join('');
    if (sorted.length > 1) out.push(`<path d="${way}" ${stroke}/>`);
    for (const point of sorted) {
      out.push(dot(toX(point.x), toY(point.y), colour, point.hollow));
    }
    const at = PLOT.top + 8 + 22 * i;
    out.push(`<path d="M${PLOT.right + 16} ${at}h28" ${stroke}/>`, dot(PLOT.right + 30, at, colour, false));
    out.push(text(PLOT.right + 52, at + 4, line.label, ''));
  });
  if (points.some(({ hollow }) => hollow)) {
    const at = PLOT.top + 8 + 22 * lines.length;
    out.push(dot(PLOT.right + 30, at, INK, true), text(PLOT.right + 52, at + 4, 'modelled, not measured', ''));
  }
  return `${[...out, '</svg>'].join('\n')}\n`;
}

const text = (x: number | string, y: number, words: string, how: string): string =>
  `<text x="${x}" y="${Number(y.toFixed(1))}"${how === '' ? '' : ` ${how}`}>${escaped(words)}</text>`;

const dot = (x: number | string, y: number | string, colour: string, hollow: boolean): string =>
  hollow
    ? `<circle cx="${x}" cy="${y}" r="4" fill="none" stroke="${colour}" stroke-width="2"/>`
    : `<circle cx="${x}" cy="${y}" r="3.5" fill="${colour}"/>`;
