import { draw, type Picture } from './curve-draw.ts';
import { CURVES, type CurveName, type CurvePoint } from './curve-points.ts';

const METRICS = {
  time: { title: 'Time', axis: 'wall time', unit: 's', value: (point: CurvePoint) => point.seconds },
  memory: { title: 'Memory', axis: 'peak memory', unit: 'bytes', value: (point: CurvePoint) => point.peakBytes },
  added: {
    title: 'Bytes added',
    axis: 'growth of the repository',
    unit: 'bytes',
    value: (point: CurvePoint) => point.addedBytes,
  },
} as const;

/** `<curve>-<metric>.svg` → its text: time, memory and bytes added, one line for each step of each tool. */
export function picturesOf(curve: CurveName, points: readonly CurvePoint[]): Map<string, string> {
  const pictures = new Map<string, string>();
  const steps = [...new Set(points.map(({ step }) => step))];
  const tools = [...new Set(points.map(({ tool }) => tool))];
  for (const [name, metric] of Object.entries(METRICS)) {
    const lines = steps.flatMap((step, colour) =>
      tools.map((tool) => ({
        label: `${step}, ${tool === 'foodsave-backup' ? 'ours' : tool}`,
        colour,
        dashed: tool !== 'foodsave-backup',
        points: points
          .filter((point) => point.step === step && point.tool === tool)
          .map((point) => ({ x: point.x, y: metric.value(point) ?? 0, hollow: point.kind === 'modelled' })),
      })),
    );
    const picture: Picture = {
      title: `${metric.title} against ${CURVES[curve].axis}`,
      x: { title: CURVES[curve].axis, unit: CURVES[curve].x },
      y: { title: metric.axis, unit: metric.unit },
      lines,
    };
    pictures.set(`${curve}-${name}.svg`, draw(picture));
  }
  return pictures;
}
