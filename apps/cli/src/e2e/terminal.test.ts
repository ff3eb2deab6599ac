import { spawn, type ChildProcess } from 'node:child_process';
import { truncate } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { BackupPage } from '@foodsave-backup/engine';
import { describe, expect, it } from 'vitest';
import { finished, Workspace } from '../testing/workspace.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** Resolves when stdout has held `text`. */
function appears(child: ChildProcess, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let seen = '';
    child.stdout?.on('data', (bytes: Buffer) => {
      seen += bytes.toString();
      if (seen.includes(text)) resolve();
    });
    child.once('close', () => reject(new Error(`it ended without "${text}"`)));
  });
}

/** With a file that takes a while to read and no room on the disk. */
async function slowWorkspace(): Promise<Workspace> {
  const workspace = await Workspace.withData(10);
  await truncate(await workspace.write('data/uploads/huge.bin', ''), 8 * 1024 ** 3);
  return workspace;
}

describe('signals', () => {
  it('stops a run at the first, leaving nothing behind that counts; meanwhile space is freed, and live data is not touched', async () => {
    await using workspace = await slowWorkspace();
    await workspace.json(['create', '--name', 'small', '--components', 'config']);
    const child = workspace.start(['create', '--json', '--progress']);
    const ended = finished(child);
    await appears(child, '"current":"data/uploads/huge.bin"');
    child.kill('SIGSTOP');
    expect(await workspace.json(['cleanup'])).toMatchObject({ deleted: [] });
    expect(await workspace.json(['restore', 'small', '--yes'], 11)).toMatchObject({ error: { code: 'LOCKED' } });
    child.kill('SIGCONT');
    child.kill('SIGINT');
    const { code, stdout, stderr } = await ended;
    expect(code).toBe(130);
    expect(stderr).toContain('SIGINT: stopping at the next safe place');
    const last = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as unknown;
    expect(last).toMatchObject({ type: 'result', exitCode: 130, error: { code: 'CANCELLED' } });
    expect((await workspace.json<BackupPage>(['list'])).items.map(({ name }) => name)).toEqual(['small']);
    expect((await workspace.run(['cleanup'])).code).toBe(0);
  });

  it('ends at once at the second', async () => {
    await using workspace = await slowWorkspace();
    const child = workspace.start(['create', '--json', '--progress']);
    const ended = finished(child);
    await appears(child, '"current":"data/uploads/huge.bin"');
    child.kill('SIGTERM');
    child.kill('SIGINT');
    expect((await ended).code).toBe(130);
    expect(await workspace.json(['check'])).toMatchObject({ status: 'ok' });
  });
});

describe('on a terminal', () => {
  it('shows the preview, asks, and takes only "yes"', async () => {
    await using workspace = await Workspace.withData(10);
    await workspace.json(['create', '--name', 'kept']);
    await workspace.write('data/uploads/a.txt', 'changed');
    const no = await workspace.onTerminal(['restore', 'kept'], 'Type "yes"', 'y\n');
    expect(no.code).toBe(130);
    expect(no.output).toMatch(/COMPONENT +ADDED +REPLACED +DELETED/);
    expect(no.output).toContain('nothing was changed');
    expect((await workspace.json<BackupPage>(['list'])).total).toBe(1);
    const yes = await workspace.onTerminal(['restore', 'kept'], 'Type "yes"', 'yes\n');
    expect(yes.code).toBe(0);
    expect(yes.output).toContain('✓ restored');
    const gone = await workspace.onTerminal(['delete', 'kept'], 'Type "yes"', 'yes\n');
    expect(gone.code).toBe(0);
    expect(gone.output).toContain('Deleted kept');
    for (const name of ['b1', 'b2']) await workspace.json(['create', '--name', name]);
    const both = await workspace.onTerminal(['delete', 'b1', 'b2'], 'Type "yes"', 'yes\n');
    expect(both.output).toMatch(/b1[^]*b2[^]*Delete these 2 backups for good\?[^]*Deleted b1, b2/);
  });

  it('draws progress on one line and leaves no trace of it', async () => {
    await using workspace = await Workspace.withData(10);
    const { code, output } = await workspace.onTerminal(['create'], '\u0000', '');
    expect(code).toBe(0);
    const drawn = output.split('\r\u001b[K');
    expect(drawn[1]).toMatch(/^Backing up (database|files|config):main/);
    expect(drawn.at(-1)).toMatch(/^✓ complete/);
  });
});

describe('without one', () => {
  it('prints plain lines for phases on stderr, nothing with --quiet', async () => {
    await using workspace = await Workspace.withData(10);
    const plain = await workspace.run(['create', '--no-encryption']);
    const [first, second, third, ...then] = plain.stderr.split('\n');
    // Whichever source is ready first.
    const all = ['Backing up config:main', 'Backing up database:main', 'Backing up files:main'];
    expect([first, second, third].sort()).toEqual(all);
    expect(then[0]).toBe('Verifying');
    expect(plain.stderr).not.toContain('\u001b');
    expect(await workspace.run(['create', '--quiet'])).toEqual({ code: 0, stdout: '', stderr: '' });
    expect((await workspace.run(['list', '--quiet'])).stdout).toContain('full_backup_');
    const chatty = await workspace.run(['create', '--progress']);
    expect(chatty.stderr).toMatch(/ 100 % {2}/);
  });

  it('prints events and then the result as JSON lines', async () => {
    await using workspace = await Workspace.withData(10);
    const { code, stdout } = await workspace.run(['--json', 'create', '--progress', '--name', 'lines']);
    expect(code).toBe(0);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; result?: unknown; notes?: string[] });
    expect(lines[0]).toMatchObject({ type: 'run.started', command: 'create', seq: 1 });
    expect(lines.map(({ type }) => type)).toContain('component.finished');
    expect(lines.at(-2)).toMatchObject({ type: 'run.finished', status: 'succeeded' });
    expect(lines.at(-1)).toMatchObject({
      type: 'result',
      exitCode: 0,
      result: { name: 'lines' },
    });
    expect(lines.at(-1)?.notes?.join('\n')).toMatch(/new repository.*\n.*key/);
    expect(lines.filter(({ result }) => result !== undefined)).toHaveLength(1);
  });

  it('is quiet when who reads its output has read enough', async () => {
    await using workspace = await Workspace.withData(10);
    await workspace.json(['create', '--name', 'one']);
    const child = workspace.start(['show', 'one', '--json']);
    child.stdout?.destroy();
    const { code, stderr } = await finished(child);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});

describe('starting', () => {
  it('loads neither engine nor validators for help, version and usage errors', async () => {
    const report = `import { registerHooks } from 'node:module';
registerHooks({ load(url, context, next) {
  const loaded = next(url, context);
  // The bundle names each module that is in a file before its code.
  for (const [line] of String(loaded.source).matchAll(/^\\/\\/ .*\\.[cm]?js$/gm)) console.error('LOADED ' + line);
  return loaded;
} });`;
    const preload = `data:text/javascript,${encodeURIComponent(report)}`;
    for (const args of [['--help'], ['create', '--help'], ['--version'], ['bogus'], ['create', '--bogus']]) {
      const { stderr } = await finished(
        spawn(process.execPath, ['--import', preload, MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }),
      );
      const loaded = stderr.split('\n').filter((line) => line.startsWith('LOADED'));
      expect(loaded.some((line) => line.includes('commander'))).toBe(true);
      expect(
        loaded.filter((line) =>
          /libs\/(?!kernel|contracts\/dist\/codes)|class-validator|reflect-metadata|nestjs/.test(line),
        ),
      ).toEqual([]);
    }
  });

  it('says on an old Node.js which one it needs', async () => {
    const old = `data:text/javascript,${encodeURIComponent(
      "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.11.1' } });",
    )}`;
    const child = spawn(process.execPath, ['--import', old, MAIN, 'list', '--json'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { code, stdout, stderr } = await finished(child);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^Error \[NODE_TOO_OLD\]: Node\.js 24 or newer is needed, this is 20\.11\.1\n→ /);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'NODE_TOO_OLD' } });
  });

  it('starts the server with its environment, hands on signals, and ends as it ends', async () => {
    await using workspace = await Workspace.withData(10);
    const child = workspace.start(['serve', '--port', '0', '--repository', 'elsewhere']);
    const ended = finished(child);
    await appears(child, 'FoodSave Backup: http://127.0.0.1:');
    child.kill('SIGTERM');
    const { code, stdout } = await ended;
    expect(code).toBe(0);
    expect(stdout).toContain('./elsewhere');
  });
});
