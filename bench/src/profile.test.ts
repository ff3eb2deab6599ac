import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { tempDir } from '@foodsave-backup/testing';
import { describe, expect, it } from 'vitest';
import { profileTables, summarizeProfile, summarizeProfiles } from './profile.ts';

describe('a CPU profile', () => {
  it('is summed up by function: each sample stands for the time until the next', () => {
    const frame = (functionName: string, url = '', lineNumber = -1) => ({ functionName, url, lineNumber });
    const text = JSON.stringify({
      nodes: [
        { id: 1, callFrame: frame('(idle)') },
        { id: 2, callFrame: frame('hash', 'file:///somewhere/project/libs/format/src/blob.ts', 11) },
        { id: 3, callFrame: frame('', 'node:zlib', 4) },
        { id: 4, callFrame: frame('hash', 'file:///somewhere/project/libs/format/src/blob.ts', 11) },
      ],
      startTime: 1_000_000,
      endTime: 5_000_000,
      samples: [1, 2, 3, 4],
      timeDeltas: [0, 1_000_000, 500_000, 1_500_000],
    });
    const times = summarizeProfile('CPU.20260101.120000.77.3.001.cpuprofile', text);
    expect(times).toEqual({
      thread: 'process 77, thread 3',
      seconds: 4,
      busySeconds: 3,
      functions: [
        { name: '(anonymous) node:zlib:5', seconds: 1.5 },
        { name: 'hash libs/format/src/blob.ts:12', seconds: 1.5 },
        { name: '(idle)', seconds: 1 },
      ],
    });
    const table = profileTables([times]);
    expect(table).toContain('process 77, thread 3: busy 3.00 s of 4.00 s');
    expect(table).toContain('| `hash libs/format/src/blob.ts:12` | 1.50 s | 50 % |');
    expect(table).not.toContain('(idle)');
    expect(() => summarizeProfile('x.cpuprofile', '{}')).toThrow('x.cpuprofile is not a CPU profile');
  });

  it('of Node shows which function and which thread was busy', async () => {
    await using temp = await tempDir();
    const spin = 'function spinning(until) { let n = 0; while (process.cpuUsage().user < until) n++; return n; }';
    const script = `const { Worker, isMainThread } = require('node:worker_threads'); ${spin}
      if (isMainThread) new Worker(__filename);
      else spinning(process.cpuUsage().user + 400_000);`;
    const file = `${temp.path}/spin.cjs`;
    writeFileSync(file, script);
    const NODE_OPTIONS = `--cpu-prof --cpu-prof-dir=${temp.path}`;
    execFileSync(process.execPath, [file], { env: { ...process.env, NODE_OPTIONS } });
    const threads = summarizeProfiles(temp.path);
    expect(threads).toHaveLength(2);
    const [busiest] = threads;
    expect(busiest?.thread).toMatch(/^process \d+, thread 1$/);
    expect(busiest?.functions.some(({ name, seconds }) => name.startsWith('spinning ') && seconds > 0)).toBe(true);
  });
});
