import { describe, expect, it } from 'vitest';
import { pino } from 'pino';
import { consoleStream, readable } from './console.ts';
import { NestLogger } from './nest-logger.ts';
import { Writable } from 'node:stream';

function recorded(level = 'trace'): { lines: Record<string, unknown>[]; logger: NestLogger } {
  const lines: Record<string, unknown>[] = [];
  const stream = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) };
  return { lines, logger: new NestLogger(pino({ level, base: null }, stream)) };
}

describe('the readable log', () => {
  it('one line, with code and run; hint and stack below it', () => {
    const json = JSON.stringify({
      level: 50,
      time: '2026-11-23T10:31:07.123Z',
      msg: 'backup: create failed: No space',
      code: 'NO_SPACE',
      hint: 'Free some space.',
      runId: '01k9z3s5e8m0v6qv7c2d4f8g1h',
    });
    expect(readable(json)).toBe(
      '10:31:07 ERROR backup: create failed: No space [NO_SPACE] (run 01k9z3s5e8m0v6qv7c2d4f8g1h)\n    Free some space.\n',
    );
  });

  it('passes on what is no JSON', () => {
    let out = '';
    const sink = new Writable({
      write(chunk: Buffer, _encoding, done) {
        out += chunk.toString();
        done();
      },
    });
    consoleStream(sink).write('not json\n');
    expect(out).toBe('not json');
  });
});

describe("Nest's log", () => {
  it('keeps context and stack as fields; the wiring is for developers', () => {
    const { lines, logger } = recorded();
    logger.log('Starting', 'InstanceLoader');
    logger.log('Something', 'Backup');
    logger.error('It broke', 'Error: x\n    at y (z.ts:1)', 'Backup');
    logger.warn({ odd: true });
    expect(lines).toMatchObject([
      { level: 20, msg: 'Starting', context: 'InstanceLoader' },
      { level: 30, msg: 'Something', context: 'Backup' },
      { level: 50, msg: 'It broke', context: 'Backup', err: { stack: expect.stringContaining('at y') as string } },
      { level: 40, msg: '{"odd":true}' },
    ]);
  });

  it('leaves a taken port to whoever listens', () => {
    const { lines, logger } = recorded('info');
    logger.error('Error: listen EADDRINUSE: address already in use', 'NestApplication');
    expect(lines).toEqual([]);
  });
});
