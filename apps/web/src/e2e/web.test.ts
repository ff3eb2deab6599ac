import { execFile } from 'node:child_process';
import { readFile, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { BackupPage, Run, RunPage } from '@foodsave-backup/contracts/types';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launch, openPage, violations } from './browser.ts';
import { startServer, waitFor, type TestServer } from './server.ts';

const RUN_MS = 60_000;

let server: TestServer;
let browser: Browser;

beforeAll(async () => {
  // Large enough that a full backup can be watched.
  server = await startServer({ databaseSize: '200MB' });
  browser = await launch();
}, 120_000);

afterAll(async () => {
  await browser.close();
  await server.stop();
});

const backups = async (): Promise<BackupPage> => (await server.api('GET', '/list')) as BackupPage;
const runs = async (): Promise<Run[]> => ((await server.api('GET', '/runs?limit=500')) as RunPage).items;
const creates = async (): Promise<Run[]> => (await runs()).filter((run) => run.command === 'create');

async function newest(): Promise<string> {
  const [backup] = (await backups()).items.filter((one) => one.trigger !== 'safety');
  if (backup === undefined) throw new Error('there is no backup');
  return backup.name;
}

async function idle(): Promise<void> {
  const settled = async (): Promise<boolean> => (await runs()).every((run) => run.finishedAt !== undefined);
  await waitFor(settled, RUN_MS);
}

async function withPage(use: (page: Page) => Promise<void>): Promise<void> {
  const { context, page, complaints } = await openPage(browser, server.url);
  try {
    await use(page);
    expect(complaints).toEqual([]);
  } finally {
    await context.close();
  }
}

const status = (page: Page, word: string): Promise<void> =>
  page.locator(`[role=status][data-status="${word}"]`).waitFor({ timeout: RUN_MS });

/** Types the code that the open dialog shows. */
async function typeCode(page: Page): Promise<void> {
  const field = page.getByRole('dialog').getByRole('textbox');
  const label = await page
    .getByRole('dialog')
    .getByText(/^Type [A-Z0-9]{4} to confirm$/)
    .textContent();
  await field.fill(/Type (\w{4})/.exec(label ?? '')?.[1] ?? '');
}

describe('the page', () => {
  it('shows what the first start made, and says "Backed up"', async () => {
    await waitFor(async () => (await backups()).total === 1, RUN_MS);
    await idle();
    await withPage(async (page) => {
      await page.goto('/backup');
      await page.getByRole('heading', { level: 1, name: 'Backed up' }).waitFor();
      await page.getByText(/Last backup .* · new data verified/).waitFor();
      await page.getByText('Live', { exact: true }).waitFor();
      expect(await page.getByRole('link', { name: await newest(), exact: true }).count()).toBe(1);
      expect(await page.evaluate(() => document.documentElement.lang)).toBe('en');
    });
  });

  it('deletes a backup only with the typed code, and then says that there is none', async () => {
    const name = await newest();
    await withPage(async (page) => {
      await page.goto(`/backup/backups/${name}`);
      await page.getByRole('button', { name: 'Delete…' }).click();
      const confirm = page.getByRole('dialog').getByRole('button', { name: 'Delete the backup' });
      expect(await confirm.isDisabled()).toBe(true);
      await typeCode(page);
      await confirm.click();
      await page.getByRole('heading', { level: 1, name: 'Not protected' }).waitFor();
      await page.getByRole('heading', { name: 'No backups yet' }).waitFor();
      expect(await page.getByRole('button', { name: 'Create Full Backup' }).count()).toBe(1);
    });
    expect((await backups()).total).toBe(0);
  });

  it('makes one backup of a double click, and shows its progress live and after a reload', async () => {
    const before = (await creates()).length;
    await withPage(async (page) => {
      await page.goto('/backup');
      await page.getByRole('button', { name: 'Create Full Backup' }).dblclick();
      const card = page.locator('[data-run][data-status=running]');
      await card.waitFor({ timeout: RUN_MS });
      expect(await page.getByRole('button', { name: 'Create Full Backup' }).first().isDisabled()).toBe(true);
      await card.getByRole('link', { name: /^Details/ }).click();
      const seen = new Set<string>();
      const percent = page.getByTestId('percent');
      await waitFor(async () => {
        seen.add((await percent.textContent()) ?? '');
        return [...seen].filter((text) => /^\d+%$/.test(text)).length >= 3;
      }, RUN_MS);
      const address = page.url();
      await page.reload();
      expect(page.url()).toBe(address);
      await status(page, 'running');
      await page.getByRole('progressbar').waitFor();
      await status(page, 'succeeded');
      await page.getByText('100%').waitFor();
      await page.getByRole('link', { name: 'Open the backup' }).waitFor();
    });
    expect(await creates()).toHaveLength(before + 1);
    expect((await backups()).total).toBe(1);
  });

  it('verifies everything, and says what was read', async () => {
    const name = await newest();
    await withPage(async (page) => {
      await page.goto(`/backup/backups/${name}`);
      await page.getByRole('button', { name: 'Verify everything' }).click();
      await page.getByText(`${name} is sound. Nothing is missing or wrong.`).waitFor({ timeout: RUN_MS });
      await page.getByText('all data verified').first().waitFor();
    });
  });

  it('walks through the directories of a backup', async () => {
    await withPage(async (page) => {
      await page.goto(`/backup/backups/${await newest()}`);
      await page.getByRole('button', { name: 'data', exact: true }).click();
      await page.getByText('foodsave.db', { exact: true }).waitFor();
      await page.getByRole('button', { name: 'docs', exact: true }).click();
      await page.getByRole('button', { name: 'Top of the backup' }).click();
      await page.getByRole('button', { name: 'data', exact: true }).waitFor();
    });
  });

  it('asks before it stops a run, and calls it stopped, not failed', async () => {
    const name = encodeURIComponent(await newest());
    // The first keeps the queue busy while the page of the second is opened.
    await server.api('POST', `/verify/${name}?level=full&wait=false`);
    await server.api('POST', `/verify/${name}?level=full&wait=false`);
    const second = (await server.api('POST', `/verify/${name}?level=quick&wait=false`)) as Run;
    await withPage(async (page) => {
      await page.goto(`/backup/runs/${second.id}`);
      await page.getByRole('button', { name: 'Stop' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Stop' }).click();
      await status(page, 'cancelled');
      await page.getByText('Stopped').first().waitFor();
    });
    await idle();
  });
});

describe('restore', () => {
  it('goes to a new folder first, as previewed', async () => {
    const name = await newest();
    await withPage(async (page) => {
      await page.goto(`/backup/backups/${name}/restore`);
      await page.getByRole('checkbox', { name: 'Database' }).uncheck();
      await page.getByRole('button', { name: 'Continue' }).click();
      expect(await page.getByRole('radio', { name: 'New folder' }).isChecked()).toBe(true);
      await page.getByRole('button', { name: 'Continue' }).click();
      await page.getByRole('button', { name: 'Restore to the folder' }).click();
      await status(page, 'succeeded');
    });
    const restored = path.join(server.app, 'restored', name, 'data');
    expect(await readdir(restored)).not.toContain('foodsave.db');
    for (const folder of ['docs', 'config', 'vector_store']) {
      const live = (await readdir(path.join(server.app, 'data', folder), { recursive: true })).sort();
      const back = (await readdir(path.join(restored, folder), { recursive: true })).sort();
      expect(back).toEqual(live.filter((file) => !file.endsWith('.tmp')));
    }
  });

  it('replaces live data only after its preview and a typed code, and undoes it', async () => {
    const name = await newest();
    const docs = path.join(server.app, 'data/docs');
    const extra = path.join(docs, 'written-after-the-backup.md');
    await writeFile(extra, 'new\n');
    const [victim = ''] = (await readdir(docs)).filter((file) => file.endsWith('.md') && file !== path.basename(extra));
    const original = await readFile(path.join(docs, victim));
    await rm(path.join(docs, victim));
    await withPage(async (page) => {
      await page.goto(`/backup/backups/${name}/restore`);
      for (const component of ['Database', 'Configuration', 'Vector store']) {
        await page.getByRole('checkbox', { name: component }).uncheck();
      }
      await page.getByRole('button', { name: 'Continue' }).click();
      await page.getByRole('radio', { name: 'Live application' }).check();
      expect(await page.getByRole('button', { name: 'Replace live data…' }).count()).toBe(0);
      await page.getByRole('button', { name: 'Continue' }).click();
      const replace = page.getByRole('button', { name: 'Replace live data…' });
      await replace.click();
      const counts = await Promise.all(
        ['added', 'replaced', 'deleted'].map((kind) => page.locator(`[data-count=${kind}]`).textContent()),
      );
      expect(counts).toEqual(['1', '0', '1']);
      await refusesWithoutCode(page);
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'hidden' });
      expect(await replace.evaluate((button) => button === document.activeElement)).toBe(true);
      await replace.click();
      await typeCode(page);
      await page.getByRole('dialog').getByRole('button', { name: 'Replace live data' }).click();
      await status(page, 'succeeded');
      expect(await readFile(path.join(docs, victim))).toEqual(original);
      expect(await readdir(docs)).not.toContain(path.basename(extra));
      await page.getByRole('button', { name: 'Undo' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Undo the restore' }).click();
      await page.getByRole('heading', { level: 1, name: 'Undo' }).waitFor();
      await status(page, 'succeeded');
    });
    expect(await readFile(extra, 'utf8')).toBe('new\n');
    expect(await readdir(docs)).not.toContain(victim);
  });

  async function refusesWithoutCode(page: Page): Promise<void> {
    const dialog = page.getByRole('dialog');
    const cancel = dialog.getByRole('button', { name: 'Cancel' });
    await waitFor(() => cancel.evaluate((button) => button === document.activeElement), 5000);
    const before = (await runs()).length;
    await dialog.getByRole('textbox').fill('0000');
    await page.keyboard.press('Enter');
    expect(await dialog.getByRole('button', { name: 'Replace live data' }).isDisabled()).toBe(true);
    expect((await runs()).length).toBe(before);
  }
});

describe('a bad connection', () => {
  it('is told, bridged by asking every few seconds, and healed', async () => {
    const { context, page } = await openPage(browser, server.url);
    try {
      await page.route('**/api/v2/backup/events', (route) => route.abort());
      await page.goto('/backup');
      await page.getByText('Reconnecting').waitFor();
      await server.api('POST', '/create?backup_name=while_cut&components=config');
      await page.getByRole('link', { name: 'while_cut', exact: true }).waitFor();
      await page.unroute('**/api/v2/backup/events');
      await page.getByText('Live', { exact: true }).waitFor();
    } finally {
      await context.close();
    }
  });

  it('shows what a missing address lacks, and what to do', async () => {
    const { context, page } = await openPage(browser, server.url);
    try {
      await page.goto('/backup/backups/never_made');
      await page.getByText('Backup not found').waitFor();
      await page.getByText(/^What to do: /).waitFor();
      await page.getByText('Code BACKUP_NOT_FOUND').waitFor();
    } finally {
      await context.close();
    }
  });
});

describe('a download', () => {
  it.each([
    ['ZIP', 'zip', 'unzip', ['-tqq'], ['-p']],
    ['TAR.GZ', 'tar.gz', 'tar', ['-tzf'], ['-xzOf']],
  ])('as %s is saved by the browser under the name of the backup, and opens', async (word, end, tool, test, print) => {
    const name = `to_download_${end}`;
    await server.api('POST', `/create?backup_name=${name}&components=files,config`);
    await withPage(async (page) => {
      await page.goto(`/backup/backups/${name}`);
      await page.getByText(/^An archive is not encrypted/).waitFor();
      const begun = page.waitForEvent('download');
      await page.getByRole('link', { name: `Download as ${word}` }).click();
      const download = await begun;
      expect(download.suggestedFilename()).toBe(`${name}.${end}`);
      const archive = await download.path();
      await promisify(execFile)(tool, [...test, archive]);
      const inside = 'data/config/app.yaml';
      const { stdout } = await promisify(execFile)(tool, [...print, archive, inside]);
      expect(stdout).toBe(await readFile(path.join(server.app, inside), 'utf8'));
      await page.getByRole('heading', { level: 1, name }).waitFor();
    });
  });
});

describe.each([
  { scheme: 'light', locale: 'en-GB' },
  { scheme: 'light', locale: 'pl-PL' },
  { scheme: 'dark', locale: 'en-GB' },
  { scheme: 'dark', locale: 'pl-PL' },
] as const)('for everyone: $scheme, $locale', ({ scheme, locale }) => {
  it('axe finds nothing, and nothing is wider than the window', async () => {
    await idle();
    const name = await newest();
    const [run] = await runs();
    const routes = ['', `/backups/${name}`, `/backups/${name}/restore`, `/runs/${run?.id ?? ''}`];
    for (const width of [1280, 320]) {
      const { context, page, complaints } = await openPage(browser, server.url, { scheme, locale, width });
      try {
        for (const route of routes) {
          await page.goto(`/backup${route}`);
          await page.locator('[aria-busy=true], .mantine-Skeleton-root').first().waitFor({ state: 'hidden' });
          await page.locator('[data-feed=live]').waitFor();
          expect([route, await violations(page)]).toEqual([route, []]);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth);
          expect([route, wide]).toEqual([route, width]);
          expect(await page.evaluate(() => document.documentElement.lang)).toBe(locale.slice(0, 2));
          expect(await page.locator('main').textContent()).not.toMatch(/\{\{/);
        }
        expect(complaints).toEqual([]);
      } finally {
        await context.close();
      }
    }
  });
});
