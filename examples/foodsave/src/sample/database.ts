import Database from 'better-sqlite3';
import type { SampleSizes } from './options.ts';
import type { Random } from './random.ts';
import { createIndexes, createTables } from './schema.ts';
import { address, dayText, DAYS, momentOn, recipeText, remark, tillLine, tillName } from './texts.ts';
import type { RecipeText } from './texts.ts';
import { GROCERIES } from './groceries.ts';
import * as words from './words.ts';

/** A photograph that a receipt names in `photo_path`. */
export interface PhotoReference {
  /** Relative to the data directory, with slashes. */
  path: string;
  takenAt: Date;
}

export interface DatabaseContents {
  photos: PhotoReference[];
  recipes: RecipeText[];
}

interface Product {
  name: string;
  tillName: string;
  price: number;
  keeps: readonly [number, number];
}

const ROWS_PER_TRANSACTION = 50_000;

/**
 * Writes the whole database at `path`, which must not exist, and leaves it closed in WAL mode without a `-wal` file.
 * Rows are made and inserted one at a time: memory does not grow with the size.
 */
export function writeDatabase(path: string, sizes: SampleSizes, random: Random): DatabaseContents {
  const database = new Database(path);
  try {
    // A crash leaves a half-made directory that nobody reads, so the journal and the syncs would only cost time.
    database.pragma('page_size = 4096');
    database.pragma('journal_mode = OFF');
    database.pragma('synchronous = OFF');
    database.pragma('cache_size = -65536');
    database.pragma('foreign_keys = OFF');
    createTables(database);
    database.exec('BEGIN');
    writeUsers(database, sizes.users, random.fork('users'));
    const products = writeProducts(database, sizes.products, random.fork('products'));
    const recipes = writeRecipes(database, sizes, random.fork('recipes'));
    writeMealPlans(database, sizes, random.fork('meal plans'));
    database
      .prepare('INSERT INTO ledger (seq, at, kind, detail) VALUES (1, ?, ?, ?)')
      .run(momentOn(0, random.fork('ledger')).toISOString(), 'created', 'sample data');
    const photos = writeReceipts(database, sizes, products, random.fork('receipts'));
    database.exec('COMMIT');
    createIndexes(database);
    database.exec("INSERT INTO recipes_fts(recipes_fts) VALUES ('optimize')");
    database.pragma('journal_mode = WAL');
    return { photos, recipes };
  } finally {
    database.close();
  }
}

function writeUsers(database: Database.Database, count: number, random: Random): void {
  const insert = database.prepare('INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)');
  for (let id = 1; id <= count; id++) {
    const first = random.pick(words.FIRST_NAMES);
    const last = random.pick(words.LAST_NAMES);
    const home = address(random);
    const name = `${first}.${last}${String(id)}`.toLowerCase();
    const plain = name
      .replaceAll('ł', 'l')
      .normalize('NFD')
      .replaceAll(/[^a-z0-9.]/g, '');
    const hash = `scrypt$16384$8$1$${random.hex(32)}$${random.hex(64)}`;
    const locale = random.chance(0.8) ? 'pl-PL' : 'en-GB';
    const created = momentOn(random.below(60), random).toISOString();
    insert.run(
      id,
      `${plain}@foodsave.example`,
      `${first} ${last}`,
      hash,
      home.street,
      home.postalCode,
      home.town,
      locale,
      created,
    );
  }
}

function writeProducts(database: Database.Database, count: number, random: Random): Product[] {
  const insert = database.prepare('INSERT INTO products VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const products: Product[] = [];
  for (let id = 1; id <= count; id++) {
    const grocery = random.pick(GROCERIES);
    const brand = random.pick(words.BRANDS);
    const name = `${random.pick(grocery.nouns)} ${random.pick(grocery.variants)} ${brand} ${random.pick(grocery.sizes)}`;
    const price = random.between(...grocery.price);
    const sku = `FS-${String(id).padStart(6, '0')}`;
    const stock = random.between(0, 240);
    const updated = momentOn(random.below(DAYS), random).toISOString();
    const text = `${remark(random)}. Przechowywać: ${random.pick(words.PLACES)}.`;
    const barcode = `590${random.digits(10)}`;
    insert.run(
      id,
      sku,
      name,
      brand,
      grocery.category,
      grocery.unit,
      price,
      grocery.vatPercent,
      stock,
      barcode,
      text,
      updated,
    );
    products.push({ name, tillName: tillName(name), price, keeps: grocery.keeps });
  }
  return products;
}

function writeRecipes(database: Database.Database, sizes: SampleSizes, random: Random): RecipeText[] {
  const insert = database.prepare('INSERT INTO recipes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const recipes: RecipeText[] = [];
  for (let id = 1; id <= sizes.recipes; id++) {
    const recipe = recipeText(random);
    const author = random.between(1, sizes.users);
    const note = random.chance(0.5) ? remark(random) : null;
    const created = momentOn(random.below(DAYS), random).toISOString();
    const cuisine = random.pick(words.CUISINES);
    const minutes = random.between(2, 24) * 5;
    insert.run(
      id,
      author,
      recipe.title,
      cuisine,
      random.between(1, 8),
      minutes,
      recipe.ingredients,
      recipe.steps,
      note,
      created,
    );
    recipes.push(recipe);
  }
  return recipes;
}

function writeMealPlans(database: Database.Database, sizes: SampleSizes, random: Random): void {
  const insert = database.prepare('INSERT INTO meal_plans VALUES (?, ?, ?, ?, ?, ?, ?)');
  for (let id = 1; id <= sizes.mealPlans; id++) {
    const user = random.between(1, sizes.users);
    const recipe = random.between(1, sizes.recipes);
    const day = dayText(random.below(DAYS));
    insert.run(
      id,
      user,
      recipe,
      day,
      random.pick(words.MEALS),
      random.between(1, 6),
      random.chance(0.6) ? remark(random) : null,
    );
  }
}

/** Purchases in the order of their dates; every so many of them is photographed. Totals are the sums of the lines. */
function writeReceipts(
  database: Database.Database,
  sizes: SampleSizes,
  products: readonly Product[],
  random: Random,
): PhotoReference[] {
  const insertReceipt = database.prepare('INSERT INTO receipts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const lines = new LineWriter(database, products, random);
  const photos: PhotoReference[] = [];
  const every = Math.max(1, Math.floor(sizes.receipts / sizes.photos));
  for (let id = 1; id <= sizes.receipts; id++) {
    const day = Math.floor(((id - 1) * DAYS) / sizes.receipts);
    const takenAt = momentOn(day, random);
    const { itemCount, total } = lines.write(id, day);
    let photoPath: string | null = null;
    if (id % every === 0 && photos.length < sizes.photos) {
      photoPath = `uploads/receipts/${dayText(day).slice(0, 7).replace('-', '/')}/paragon-${String(id).padStart(7, '0')}.jpg`;
      photos.push({ path: photoPath, takenAt });
    }
    const shop = address(random);
    insertReceipt.run(
      id,
      random.between(1, sizes.users),
      `PAR/${dayText(day).slice(0, 4)}/${String(id).padStart(8, '0')}`,
      random.pick(words.STORES),
      `${shop.street}, ${shop.postalCode} ${shop.town}`,
      takenAt.toISOString(),
      random.pick(words.PAYMENTS),
      itemCount,
      total,
      photoPath,
      random.chance(0.3) ? remark(random) : null,
    );
    if (lines.written >= ROWS_PER_TRANSACTION) {
      database.exec('COMMIT; BEGIN');
      lines.written = 0;
    }
  }
  return photos;
}

class LineWriter {
  readonly #insert: Database.Statement;
  readonly #products: readonly Product[];
  readonly #random: Random;
  readonly #days = Array.from({ length: DAYS + 800 }, (_, day) => dayText(day));
  #nextId = 1;
  /** Lines since the caller last set it to zero. */
  written = 0;

  constructor(database: Database.Database, products: readonly Product[], random: Random) {
    this.#insert = database.prepare('INSERT INTO receipt_items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
    this.#products = products;
    this.#random = random;
  }

  write(receiptId: number, day: number): { itemCount: number; total: number } {
    const random = this.#random;
    const itemCount = random.between(3, 16);
    let total = 0;
    for (let line = 1; line <= itemCount; line++) {
      const productId = random.between(1, this.#products.length);
      const product = this.#products[productId - 1] ?? random.pick(this.#products);
      const quantity = random.chance(0.7) ? random.between(1, 4) : random.between(100, 2500) / 1000;
      const price = Math.max(1, Math.round(product.price * (0.85 + random.float() * 0.3)));
      const amount = Math.max(1, Math.round(quantity * price));
      const keeps = random.between(...product.keeps);
      this.#insert.run(
        this.#nextId++,
        receiptId,
        productId,
        line,
        product.name,
        quantity,
        price,
        amount,
        this.#days[day + keeps] ?? null,
        random.pick(words.PLACES),
        tillLine(product.tillName, quantity, price, amount),
        random.chance(0.9) ? remark(random) : null,
      );
      total += amount;
    }
    this.written += itemCount;
    return { itemCount, total };
  }
}
