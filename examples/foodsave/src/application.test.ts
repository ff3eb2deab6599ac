import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateSample } from './sample/generate.ts';
import { inspectDatabase } from './sample/inspect.ts';

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const MODULES = fileURLToPath(new URL('../../../node_modules', import.meta.url));

let scratch: string;
let sample: string;
let main: string;
let server: ChildProcessByStdio<null, Readable, null>;
let url: string;

// The compiled application, in a process of its own: entities that name each other break as ES modules only there.
beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'foodsave-application-'));
  sample = join(scratch, 'sample');
  generateSample(sample, { scale: 0.3 });
  const dist = join(scratch, 'dist');
  execFileSync(process.execPath, [
    join(MODULES, 'typescript/bin/tsc'),
    '-p',
    join(PACKAGE, 'tsconfig.lib.json'),
    '--outDir',
    dist,
  ]);
  symlinkSync(MODULES, join(scratch, 'node_modules'));
  writeFileSync(join(scratch, 'package.json'), '{ "type": "module" }');
  main = join(dist, 'main.js');
  server = spawn(process.execPath, [main, '--data', sample, '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface(server.stdout), 'line')) as [string];
  url = line.replace('FoodSave AI sample: ', '');
}, 120_000);

afterAll(async () => {
  if (server.exitCode === null) {
    server.kill('SIGTERM');
    await once(server, 'exit');
  }
  rmSync(scratch, { recursive: true, force: true });
});

interface Answer {
  status: number;
  body: unknown;
}

async function get(path: string): Promise<Answer> {
  const response = await fetch(url + path);
  return { status: response.status, body: await response.json() };
}

async function post(body: unknown): Promise<Answer> {
  const response = await fetch(`${url}/receipts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

async function counts(): Promise<Record<string, number>> {
  return ((await get('/health')).body as { rows: Record<string, number> }).rows;
}

interface ReceiptBody {
  id: number;
  itemCount: number;
  totalGrosz: number;
  items: { lineNo: number; productId: number; quantity: number; amountGrosz: number }[];
}

const purchase = (productId: number): Record<string, unknown> => ({
  userId: 1,
  storeName: 'Market Zielony Koszyk',
  storeAddress: 'ul. Długa 1, 80-001 Gdańsk',
  purchasedAt: '2025-03-01T10:00:00Z',
  paymentMethod: 'BLIK',
  items: [
    { productId: 1, quantity: 2, unitPriceGrosz: 499, storagePlace: 'lodówka' },
    { productId, quantity: 0.35, unitPriceGrosz: 1000, storagePlace: 'spiżarnia', bestBefore: '2025-03-09' },
  ],
});

describe('the application', () => {
  test('counts its rows', async () => {
    const rows = inspectDatabase(join(sample, 'data/foodsave.db')).rows;
    expect(await get('/health')).toEqual({ status: 200, body: { status: 'ok', rows } });
  });

  test('finds products by a part of the name, taking wildcards literally', async () => {
    const body = (await get(`/products?q=${encodeURIComponent('chleb')}&limit=3`)).body as {
      name: string;
      priceGrosz: number;
    }[];
    expect(body).toHaveLength(3);
    for (const product of body) expect(product.name.toLowerCase()).toContain('chleb');
    expect((await get('/products?q=_%25_')).body).toEqual([]);
    expect((await get('/products?limit=100000')).status).toBe(400);
  });

  test('shows a receipt with its lines in order', async () => {
    const body = (await get('/receipts/7')).body as ReceiptBody;
    expect(body.items.map((item) => item.lineNo)).toEqual(body.items.map((_, index) => index + 1));
    expect(body.items).toHaveLength(body.itemCount);
    expect(body.items.reduce((sum, item) => sum + item.amountGrosz, 0)).toBe(body.totalGrosz);
    expect((await get('/receipts/99999999')).status).toBe(404);
    expect((await get('/receipts/seven')).status).toBe(400);
  });

  test('searches recipes by words and takes the query language of FTS5 as text', async () => {
    const [some] = (await get('/recipes/search?q=z')).body as { title: string }[];
    const word = some!.title.split(' ')[0]!;
    const body = (await get(`/recipes/search?q=${encodeURIComponent(word.toLowerCase().slice(0, 4))}`)).body as {
      title: string;
      ingredients: string;
      steps: string;
    }[];
    expect(body.length).toBeGreaterThan(0);
    expect(body.map((recipe) => recipe.title)).toContain(some!.title);
    expect((await get(`/recipes/search?q=${encodeURIComponent('NEAR(" OR title:*')}`)).status).toBe(200);
    expect((await get('/recipes/search')).status).toBe(400);
  });

  test('stores a receipt and takes its goods from the stock', async () => {
    const stock = (): number => {
      const database = new Database(join(sample, 'data/foodsave.db'), { readonly: true });
      const value = database.prepare('SELECT stock FROM products WHERE id = 1').pluck().get() as number;
      database.close();
      return value;
    };
    const before = stock();
    const answer = await post(purchase(2));
    expect(answer.status).toBe(201);
    const body = answer.body as ReceiptBody;
    expect(body).toMatchObject({ itemCount: 2, totalGrosz: 1348 });
    expect((await get(`/receipts/${String(body.id)}`)).body).toEqual(body);
    expect(stock()).toBe(before - 2);
  });

  test.for([
    ['an unknown field', { ...purchase(2), admin: true }],
    ['no lines', { ...purchase(2), items: [] }],
    ['a negative quantity', { ...purchase(2), items: [{ productId: 1, quantity: -1, storagePlace: 'x' }] }],
    ['a date that is none', { ...purchase(2), purchasedAt: 'yesterday' }],
    ['an unknown user', { ...purchase(2), userId: 123_456 }],
    ['an unknown product', purchase(123_456)],
  ] as const)('refuses %s', async ([, body]) => {
    expect((await post(body)).status).toBe(400);
  });

  test('keeps receipts that are stored at once apart, the refused ones between them too', async () => {
    const before = await counts();
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) => post(purchase(index % 4 === 3 ? 123_456 : 2 + index))),
    );
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(30);
    expect(answers.filter((answer) => answer.status === 400)).toHaveLength(10);
    const after = await counts();
    expect(after['receipts']).toBe(before['receipts']! + 30);
    expect(after['receipt_items']).toBe(before['receipt_items']! + 60);
    expect(inspectDatabase(join(sample, 'data/foodsave.db')).problems).toEqual([]);
  });

  test.for([
    ['a taken port', () => ['--data', sample, '--port', new URL(url).port], 'is in use already'],
    ['missing data', () => ['--data', join(scratch, 'nowhere')], 'there is no data in'],
    ['a wrong port', () => ['--data', sample, '--port', '80x'], '--port is not a port'],
    ['no data', () => [], '--data is missing'],
  ] as const)('ends with exit code 2 and a reason on %s', async ([, args, reason]) => {
    const child = spawn(process.execPath, [main, ...args()], { stdio: ['ignore', 'ignore', 'pipe'] });
    let message = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (message += text));
    const [code] = (await once(child, 'close')) as [number];
    expect(code).toBe(2);
    expect(message).toContain(reason);
    expect(message.trimEnd().split('\n')).toHaveLength(2);
  });
});
