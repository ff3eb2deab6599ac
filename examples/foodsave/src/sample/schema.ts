import type { Database } from 'better-sqlite3';

/** `PRAGMA user_version` of the sample database: the number of its migrations. */
export const SCHEMA_VERSION = 5;

/** Every table with rows of the application's own, parents before children. */
export const TABLES = ['users', 'products', 'recipes', 'receipts', 'receipt_items', 'meal_plans', 'ledger'] as const;
export type TableName = (typeof TABLES)[number];

const MIGRATIONS: readonly (readonly [timestamp: number, name: string])[] = [
  [1693819200000, 'CreateUsersAndProducts1693819200000'],
  [1694512800000, 'CreateReceipts1694512800000'],
  [1699869600000, 'CreateRecipesAndSearch1699869600000'],
  [1707127200000, 'CreateMealPlans1707127200000'],
  [1718013600000, 'AddLedger1718013600000'],
];

const CREATE_TABLES = `
CREATE TABLE "migrations" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "timestamp" bigint NOT NULL, "name" varchar NOT NULL);
CREATE TABLE users (
  id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, display_name TEXT NOT NULL, password_hash TEXT NOT NULL,
  street TEXT NOT NULL, postal_code TEXT NOT NULL, town TEXT NOT NULL, locale TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE products (
  id INTEGER PRIMARY KEY, sku TEXT NOT NULL UNIQUE, name TEXT NOT NULL, brand TEXT NOT NULL, category TEXT NOT NULL,
  unit TEXT NOT NULL, price_grosz INTEGER NOT NULL CHECK (price_grosz > 0), vat_percent INTEGER NOT NULL,
  stock INTEGER NOT NULL, barcode TEXT NOT NULL, description TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE recipes (
  id INTEGER PRIMARY KEY, author_id INTEGER NOT NULL REFERENCES users(id), title TEXT NOT NULL, cuisine TEXT NOT NULL,
  servings INTEGER NOT NULL, minutes INTEGER NOT NULL, ingredients TEXT NOT NULL, steps TEXT NOT NULL, note TEXT,
  created_at TEXT NOT NULL);
CREATE TABLE receipts (
  id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users(id), number TEXT NOT NULL UNIQUE,
  store_name TEXT NOT NULL, store_address TEXT NOT NULL, purchased_at TEXT NOT NULL, payment_method TEXT NOT NULL,
  item_count INTEGER NOT NULL, total_grosz INTEGER NOT NULL, photo_path TEXT, note TEXT);
CREATE TABLE receipt_items (
  id INTEGER PRIMARY KEY, receipt_id INTEGER NOT NULL REFERENCES receipts(id) ON DELETE CASCADE,
  product_id INTEGER NOT NULL REFERENCES products(id), line_no INTEGER NOT NULL, name TEXT NOT NULL,
  quantity REAL NOT NULL CHECK (quantity > 0), unit_price_grosz INTEGER NOT NULL, amount_grosz INTEGER NOT NULL,
  best_before TEXT, storage_place TEXT NOT NULL, scanned_text TEXT, note TEXT);
CREATE TABLE meal_plans (
  id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users(id), recipe_id INTEGER NOT NULL REFERENCES recipes(id),
  planned_for TEXT NOT NULL, meal TEXT NOT NULL, servings INTEGER NOT NULL, note TEXT);
CREATE TABLE ledger (seq INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL);
CREATE VIRTUAL TABLE recipes_fts USING fts5(
  title, ingredients, steps, content='recipes', content_rowid='id', tokenize="unicode61 remove_diacritics 2");
CREATE TRIGGER recipes_fts_insert AFTER INSERT ON recipes BEGIN
  INSERT INTO recipes_fts(rowid, title, ingredients, steps) VALUES (new.id, new.title, new.ingredients, new.steps);
END;
CREATE TRIGGER recipes_fts_delete AFTER DELETE ON recipes BEGIN
  INSERT INTO recipes_fts(recipes_fts, rowid, title, ingredients, steps)
  VALUES ('delete', old.id, old.title, old.ingredients, old.steps);
END;
CREATE TRIGGER recipes_fts_update AFTER UPDATE OF title, ingredients, steps ON recipes BEGIN
  INSERT INTO recipes_fts(recipes_fts, rowid, title, ingredients, steps)
  VALUES ('delete', old.id, old.title, old.ingredients, old.steps);
  INSERT INTO recipes_fts(rowid, title, ingredients, steps) VALUES (new.id, new.title, new.ingredients, new.steps);
END;
`;

const CREATE_INDEXES = `
CREATE INDEX products_by_name ON products(name);
CREATE INDEX receipts_by_user ON receipts(user_id, purchased_at);
CREATE INDEX receipt_items_by_receipt ON receipt_items(receipt_id, line_no);
CREATE INDEX receipt_items_by_product ON receipt_items(product_id);
CREATE INDEX meal_plans_by_user ON meal_plans(user_id, planned_for);
CREATE INDEX meal_plans_by_recipe ON meal_plans(recipe_id);
`;

export function createTables(database: Database): void {
  database.exec(CREATE_TABLES);
  const insert = database.prepare('INSERT INTO migrations (timestamp, name) VALUES (?, ?)');
  for (const migration of MIGRATIONS) insert.run(...migration);
  database.pragma(`user_version = ${String(SCHEMA_VERSION)}`);
}

/** Once the rows are in: an index that is sorted once costs a fraction of one that is kept while they arrive. */
export function createIndexes(database: Database): void {
  database.exec(CREATE_INDEXES);
}
