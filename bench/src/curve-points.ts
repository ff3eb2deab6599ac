/** Which cost is drawn against which size: the names of the files, too. */
export const CURVES = {
  data: { axis: 'bytes of data', x: 'bytes' },
  files: { axis: 'files', x: 'count' },
  backups: { axis: 'backups in the repository', x: 'count' },
} as const;

export type CurveName = keyof typeof CURVES;

/** What one step of one tool cost at one size. */
export interface CurvePoint {
  tool: string;
  step: string;
  /** Bytes, files or backups. */
  x: number;
  seconds: number;
  cpuSeconds: number;
  /** Largest resident size of all its processes, in bytes. */
  peakBytes: number;
  /** By how much the repository grew, in bytes; absent for what only reads. */
  addedBytes?: number;
  /** `modelled`: a straight line through the last two measured points, where the disk had no room for a measurement. */
  kind: 'measured' | 'modelled';
}

const COLUMNS = ['time (s)', 'processor time (s)', 'peak memory (bytes)', 'added (bytes)', 'kind'] as const;

const header = (curve: CurveName): string => ['tool', 'step', CURVES[curve].axis, ...COLUMNS].join(',');

/** One line a point, the units in the header. */
export function toCsv(curve: CurveName, points: readonly CurvePoint[]): string {
  const rows = points.map((point) => {
    for (const text of [point.tool, point.step]) {
      if (/[",\n\r]/.test(text)) throw new RangeError(`Not for a CSV file: ${text}`);
    }
    const { seconds, cpuSeconds, peakBytes, addedBytes } = point;
    const figures = [seconds.toFixed(3), cpuSeconds.toFixed(2), Math.round(peakBytes), addedBytes ?? ''];
    return [point.tool, point.step, point.x, ...figures, point.kind].join(',');
  });
  return `${[header(curve), ...rows].join('\n')}\n`;
}

/** What `toCsv` wrote. Throws where a line is something else. */
export function fromCsv(curve: CurveName, text: string): CurvePoint[] {
  const [first, ...lines] = text.replace(/\n$/, '').split('\n');
  if (first !== header(curve)) throw new Error(`The header of the curve "${curve}" is not "${header(curve)}"`);
  return lines.map((line) => {
    const [tool = '', step = '', x, seconds, cpuSeconds, peakBytes, addedBytes, kind, ...more] = line.split(',');
    const numbers = [x, seconds, cpuSeconds, peakBytes].map((cell) => (cell === '' ? Number.NaN : Number(cell)));
    const [a = Number.NaN, b = Number.NaN, c = Number.NaN, d = Number.NaN] = numbers;
    const added = addedBytes === '' ? undefined : Number(addedBytes);
    const known = kind === 'measured' || kind === 'modelled';
    if (!known || more.length > 0 || [...numbers, added ?? 0].some((value) => !Number.isFinite(value))) {
      throw new Error(`Not a point of the curve "${curve}": ${line}`);
    }
    const point = { tool, step, x: a, seconds: b, cpuSeconds: c, peakBytes: d, kind } as const;
    return added === undefined ? point : { ...point, addedBytes: added };
  });
}

/** The last two measured points of each step of each tool, and a straight line through them to `x`; never below the last. */
export function modelled(points: readonly CurvePoint[], x: number): CurvePoint[] {
  const lines = new Map<string, CurvePoint[]>();
  for (const point of points) {
    if (point.kind !== 'measured') continue;
    const key = `${point.tool},${point.step}`;
    lines.set(key, [...(lines.get(key) ?? []), point]);
  }
  return [...lines.values()].flatMap((line) => {
    const [before, last] = line.sort((a, b) => a.x - b.x).slice(-2);
    if (before === undefined || last === undefined || before.x === last.x || last.x >= x) return [];
    const at = (one: number, two: number): number =>
      Math.max(two, two + ((two - one) * (x - last.x)) / (last.x - before.x));
    const { tool, step } = last;
    const point: CurvePoint = {
      ...{ tool, step, x, kind: 'modelled' },
      seconds: at(before.seconds, last.seconds),
      cpuSeconds: at(before.cpuSeconds, last.cpuSeconds),
      peakBytes: Math.round(at(before.peakBytes, last.peakBytes)),
    };
    if (before.addedBytes === undefined || last.addedBytes === undefined) return [point];
    return [{ ...point, addedBytes: Math.round(at(before.addedBytes, last.addedBytes)) }];
  });
}
