import './lib/check-node.mjs';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBuilt } from './lib/build.mjs';
import { main } from './lib/fail.mjs';
import { ensureInstalled } from './lib/install.mjs';
import { node24 } from './lib/node24.mjs';
import { inRoot } from './lib/paths.mjs';
import { capture } from './lib/process.mjs';

// The pictures of the README, from the running product with a fresh sample: docs/images/*.png. Needs Debian's chromium.

const PORT = 8077;
const PAGE = `http://127.0.0.1:${PORT}/backup`;
const API = `http://127.0.0.1:${PORT}/api/v2/backup`;
const CHROMIUM = '/usr/bin/chromium';
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

async function until(ready, what) {
  for (let i = 0; i < 120; i++) {
    if (await ready().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error(`${what} did not happen in 30 seconds`);
}

await main(async () => {
  await ensureInstalled();
  await ensureBuilt();
  const { chromium } = await import('playwright-core');
  const directory = mkdtempSync(join(tmpdir(), 'foodsave-pictures-'));
  await capture(node24(), [inRoot('tools', 'scripts', 'sample.mjs'), directory]);
  const env = { ...process.env, BACKUP_CONFIG: join(directory, 'backup.yaml'), PORT: String(PORT) };
  const server = spawn(node24(), [inRoot('apps', 'api', 'dist', 'main.js')], { env, stdio: 'ignore', cwd: directory });
  try {
    await until(async () => (await (await fetch(`${API}/list`)).json()).total === 1, 'the first backup');
    await fetch(`${API}/create?backup_name=before_deploy`, { method: 'POST' });
    await fetch(`${API}/verify/before_deploy`, { method: 'POST' });
    mkdirSync(inRoot('docs', 'images'), { recursive: true });
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
    const shots = [
      ['overview', '', { viewport: { width: 1280, height: 800 }, locale: 'en-GB' }],
      ['backup', '/backups/before_deploy', { viewport: { width: 1280, height: 800 }, locale: 'en-GB' }],
      ['overview-dark-pl', '', { viewport: { width: 1280, height: 800 }, locale: 'pl-PL', colorScheme: 'dark' }],
    ];
    for (const [name, path, options] of shots) {
      const page = await browser.newPage(options);
      await page.goto(PAGE + path);
      await page.getByText('before_deploy').first().waitFor();
      await page.waitForTimeout(500);
      await page.screenshot({ path: inRoot('docs', 'images', `${name}.png`) });
      await page.close();
    }
    await browser.close();
  } finally {
    server.kill('SIGTERM');
    await new Promise((resolve) => server.once('exit', resolve));
    rmSync(directory, { recursive: true, force: true });
  }
  return 0;
});
