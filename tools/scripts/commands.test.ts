import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = { cwd: ROOT, env: { ...process.env, HOST: '', PORT: '', ...env } };
    execFile(command, args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
  });
}

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A server on a free port of the loopback interface. */
async function serve(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => new Promise((resolve) => server.close(resolve)));
  return String((server.address() as AddressInfo).port);
}

describe('npm start', () => {
  const start = (args: string[], env?: NodeJS.ProcessEnv): Promise<Outcome> =>
    run(process.execPath, ['tools/scripts/start.mjs', ...args], env);

  test('a port that our own server holds is no error: its address is printed', async () => {
    const port = await serve((request, response) => {
      if (request.url === '/health/live') response.setHeader('X-FoodSave-Backup', '1');
      response.end('{}');
    });
    const { code, stdout } = await start([], { PORT: port });
    expect(stdout).toContain(`http://127.0.0.1:${port}/backup`);
    expect(code).toBe(0);
  });

  test('a port that another program holds is refused, with a way out', async () => {
    const port = await serve((_request, response) => response.end('hello'));
    const { code, stderr } = await start(['--port', port], { PORT: '1' });
    expect(stderr).toContain(`Port ${port} is in use`);
    expect(stderr).toMatch(/PORT=\d+ npm start/);
    expect(code).toBe(2);
  });

  test.each([
    ['--port', ['--port', 'eighty']],
    ['--port', ['--port=0']],
    ['--port', ['--port']],
  ])('a %s that is no port is refused', async (_name, args) => {
    const { code, stderr } = await start(args);
    expect(stderr).toContain('--port must be a number from 1 to 65535');
    expect(code).toBe(2);
  });

  test('a PORT that is no port is refused, not replaced', async () => {
    const { code, stderr } = await start([], { PORT: '70000' });
    expect(stderr).toContain('PORT must be a number from 1 to 65535');
    expect(code).toBe(2);
  });
});

describe('bin/foodsave-backup', () => {
  /** A checkout with a space in its name, with or without what setup makes. */
  async function checkout(ready: { node?: boolean; built?: boolean }): Promise<string> {
    const folder = await realpath(await mkdtemp(path.join(tmpdir(), 'foodsave bin ')));
    cleanups.push(() => rm(folder, { recursive: true, force: true }));
    for (const part of ['bin', 'elsewhere', 'node_modules/.bin', 'apps/cli/dist']) {
      await mkdir(path.join(folder, part), { recursive: true });
    }
    await copyFile(path.join(ROOT, 'bin/foodsave-backup'), path.join(folder, 'bin/foodsave-backup'));
    await chmod(path.join(folder, 'bin/foodsave-backup'), 0o755);
    if (ready.node) await symlink(process.execPath, path.join(folder, 'node_modules/.bin/node'));
    if (ready.built) {
      const program = 'console.log(JSON.stringify(process.argv.slice(2))); process.exitCode = 11;\n';
      await writeFile(path.join(folder, 'apps/cli/dist/main.js'), program);
    }
    return folder;
  }

  test('passes arguments and exit code on, through links from anywhere', async () => {
    const folder = await checkout({ node: true, built: true });
    await symlink('../bin/foodsave-backup', path.join(folder, 'elsewhere/relative'));
    await symlink(path.join(folder, 'elsewhere/relative'), path.join(folder, 'elsewhere/absolute'));
    for (const name of ['bin/foodsave-backup', 'elsewhere/relative', 'elsewhere/absolute']) {
      const { code, stdout } = await run(path.join(folder, name), ['create', '--name', 'a  "b" $c']);
      expect(JSON.parse(stdout)).toEqual(['create', '--name', 'a  "b" $c']);
      expect(code).toBe(11);
    }
  });

  test('says what to run when nothing has been built', async () => {
    const folder = await checkout({ node: true });
    const { code, stderr } = await run(path.join(folder, 'bin/foodsave-backup'), ['list']);
    expect(stderr).toContain(`cd ${folder} && npm run setup`);
    expect(code).toBe(2);
  });

  test.each(['v20.20.2', 'v9.11.2', 'nonsense'])("refuses the machine's Node.js when it is %s", async (version) => {
    const folder = await checkout({ built: true });
    const old = path.join(folder, 'elsewhere/node');
    await writeFile(old, `#!/bin/sh\necho ${version}\n`);
    await chmod(old, 0o755);
    const { code, stderr } = await run(path.join(folder, 'bin/foodsave-backup'), ['list'], {
      PATH: `${path.dirname(old)}:/usr/bin:/bin`,
    });
    expect(stderr).toContain(`needs Node.js 24; ${old} is ${version}`);
    expect(code).toBe(2);
  });

  test("takes the machine's Node.js when it is new enough", async () => {
    const folder = await checkout({ built: true });
    await symlink(process.execPath, path.join(folder, 'elsewhere/node'));
    const { code } = await run(path.join(folder, 'bin/foodsave-backup'), ['list'], {
      PATH: `${path.join(folder, 'elsewhere')}:/usr/bin:/bin`,
    });
    expect(code).toBe(11);
  });
});
