import { parseArgs } from 'node:util';
import { startApplication } from './application.ts';
import { SampleError } from './sample/options.ts';

const USAGE = 'usage: node dist/main.js --data DIR [--port N]';

function readArguments(argv: readonly string[]): { data: string; port: number } {
  let values: { data?: string | undefined; port: string };
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: { data: { type: 'string' }, port: { type: 'string', default: '3000' } },
    }));
  } catch (error) {
    throw new SampleError(error instanceof Error ? error.message : String(error), USAGE);
  }
  if (values.data === undefined) throw new SampleError('--data is missing', USAGE);
  const port = Number(values.port);
  if (!/^\d+$/.test(values.port) || port > 65_535) {
    throw new SampleError(`--port is not a port: ${values.port}`, 'give a number from 0 to 65535');
  }
  return { data: values.data, port };
}

try {
  const { data, port } = readArguments(process.argv.slice(2));
  const app = await startApplication(data, port);
  app.enableShutdownHooks();
  process.stdout.write(`FoodSave AI sample: ${await app.getUrl()}\n`);
} catch (error) {
  process.stderr.write(`foodsave: ${error instanceof Error ? error.message : String(error)}\n`);
  if (error instanceof SampleError) process.stderr.write(`  ${error.hint}\n`);
  process.exitCode = error instanceof SampleError ? 2 : 1;
}
