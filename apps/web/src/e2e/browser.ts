import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

/** Debian's Chromium with a profile of its own, which is gone with it. */
export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

export interface Look {
  scheme?: 'light' | 'dark';
  locale?: 'en-GB' | 'pl-PL';
  width?: number;
}

/** A page in a context of its own, and what its console said that it should not have. */
export async function openPage(
  browser: Browser,
  baseURL: string,
  { scheme = 'light', locale = 'en-GB', width = 1280 }: Look = {},
): Promise<{ context: BrowserContext; page: Page; complaints: string[] }> {
  const context = await browser.newContext({
    baseURL,
    locale,
    colorScheme: scheme,
    viewport: { width, height: 800 },
    reducedMotion: 'reduce',
  });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  return { context, page, complaints };
}

/** What axe objects to, one line each. */
export async function violations(page: Page): Promise<string[]> {
  const run = `axe.run(document, { runOnly: ${JSON.stringify(RULES)} }).then((result) =>
    result.violations.map((one) => one.id + ': ' + one.nodes.map((node) => node.html.slice(0, 200)).join(' | ')))`;
  return page.evaluate<string[]>(`${AXE};${run}`);
}
