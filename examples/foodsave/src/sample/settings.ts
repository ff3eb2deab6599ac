import { chmodSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Random } from './random.ts';
import { LAST_MOMENT } from './texts.ts';

/** Writes `config/`. The secrets open nothing; they are answered so that a test can look for them where none may be. */
export function writeSettings(data: string, random: Random): string[] {
  const secrets = {
    OPENAI_API_KEY: `sk-proj-sample${random.hex(40)}`,
    DATABASE_PASSWORD: `sample-Zurek!${random.hex(18)}`,
    JWT_SECRET: random.hex(64),
    SMTP_PASSWORD: `sample-${random.hex(20)}`,
  };
  const files: readonly (readonly [name: string, content: string, mode: number])[] = [
    ['app.yaml', APP_YAML, 0o644],
    ['.env', environment(secrets), 0o600],
    ['settings.json', `${JSON.stringify(SETTINGS, null, 2)}\n`, 0o644],
  ];
  const folder = join(data, 'config');
  mkdirSync(folder, { recursive: true });
  for (const [name, content, mode] of files) {
    writeFileSync(join(folder, name), content);
    chmodSync(join(folder, name), mode);
    utimesSync(join(folder, name), LAST_MOMENT, LAST_MOMENT);
  }
  return Object.values(secrets);
}

function environment(secrets: Record<string, string>): string {
  const lines = Object.entries(secrets).map(([name, value]) => `${name}="${value}"`);
  return [
    '# Settings of the FoodSave AI sample. The secrets are made up.',
    'NODE_ENV=production',
    'LOG_LEVEL=info',
    'DATABASE_PATH=./data/foodsave.db',
    'OLLAMA_URL=http://127.0.0.1:11434',
    ...lines,
    '',
  ].join('\n');
}

const APP_YAML = `# FoodSave AI: what the application reads at its start
server:
  host: 127.0.0.1
  port: 3000
database:
  path: ./data/foodsave.db
  journalMode: wal
uploads:
  directory: ./data/uploads
  maxMegabytes: 12
  types: [image/jpeg, image/png]
assistant:
  model: bielik-11b
  embeddings: all-MiniLM-L6-v2
  vectorStore: ./data/vector_store/index.faiss
  neighbours: 5
locale: pl-PL # paragony są po polsku
timezone: Europe/Warsaw
`;

const SETTINGS = {
  theme: 'zielony',
  currency: 'PLN',
  notifications: { expiringDays: 3, channel: 'email', quietHours: ['21:00', '07:00'] },
  features: { receiptScanner: true, mealPlanner: true, voiceAssistant: false },
  stores: ['Market Zielony Koszyk', 'Delikatesy Pod Lipą'],
};

export const BACKUP_YAML = `# What is backed up, where to, and for how long it is kept.
application: foodsave
repository: { type: local, path: ./backups }
components:
  # SQLite in WAL mode; captured consistently while the application writes.
  database: { driver: sqlite, path: ./data/foodsave.db }
  # Photographs of receipts and documents, without unfinished uploads.
  files: { include: [./data/uploads, ./data/docs], exclude: ["*.tmp"] }
  # Secrets in here are encrypted with the repository, or redacted when it is not encrypted.
  config: { include: [./data/config], env: [LOG_LEVEL] }
  vector_store: { driver: faiss, path: ./data/vector_store }
# The newest backup of each of the last 7 days, 4 weeks and 12 months.
retention: { daily: 7, weekly: 4, monthly: 12 }
`;
