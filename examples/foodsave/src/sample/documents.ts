import { chmodSync, lutimesSync, mkdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Random } from './random.ts';
import { address, dayText, DAYS, fill, momentOn, paragraph, remark } from './texts.ts';
import { GROCERIES } from './groceries.ts';
import * as words from './words.ts';

/** A text that the vector store indexes. */
export interface TextSource {
  id: string;
  title: string;
  text: string;
}

/** Writes files with a fixed mode and a modification time from the seed. */
class Folder {
  readonly #root: string;
  readonly #random: Random;

  constructor(root: string, random: Random) {
    this.#root = root;
    this.#random = random;
  }

  write(path: string, content: string | Uint8Array, mode = 0o644): void {
    const full = join(this.#root, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, content);
    chmodSync(full, mode);
    const time = momentOn(this.#random.below(DAYS), this.#random);
    utimesSync(full, time, time);
  }

  link(path: string, target: string): void {
    const full = join(this.#root, path);
    mkdirSync(dirname(full), { recursive: true });
    symlinkSync(target, full);
    const time = momentOn(this.#random.below(DAYS), this.#random);
    lutimesSync(full, time, time);
  }

  read(path: string): Buffer {
    return readFileSync(join(this.#root, path));
  }

  emptyDirectory(path: string): void {
    mkdirSync(join(this.#root, path), { recursive: true });
  }
}

function guide(random: Random, number: number): TextSource & { path: string } {
  const title = random.pick(words.GUIDE_TITLES);
  const sections = Array.from({ length: random.between(3, 9) }, (_, index) => {
    const list = Array.from(
      { length: random.between(2, 6) },
      () => `- ${fill(random.pick(words.GUIDE_SENTENCES), random)}`,
    );
    return `## ${String(index + 1)}. ${random.pick(words.GUIDE_TITLES)}\n\n${paragraph(random, random.between(3, 9))}\n\n${list.join('\n')}\n`;
  });
  const path = `docs/poradniki/poradnik-${String(number).padStart(4, '0')}.md`;
  return { id: path, path, title, text: `# ${title}\n\n${sections.join('\n')}` };
}

function invoice(random: Random, number: number): TextSource & { path: string } {
  const day = random.below(DAYS);
  const seller = random.pick(words.STORES);
  const place = address(random);
  let total = 0;
  const lines = Array.from({ length: random.between(5, 60) }, (_, index) => {
    const grocery = random.pick(GROCERIES);
    const amount = random.between(...grocery.price) * random.between(1, 12);
    total += amount;
    const name = `${random.pick(grocery.nouns)} ${random.pick(grocery.variants)}`;
    return `${String(index + 1).padStart(3)}  ${name.padEnd(44)} ${grocery.unit.padEnd(6)} ${(amount / 100).toFixed(2).padStart(10)} PLN`;
  });
  const title = `Faktura ${String(number).padStart(5, '0')}/${dayText(day).slice(0, 4)}, ${seller}`;
  const path = `docs/faktury/${dayText(day).slice(0, 4)}/faktura-${String(number).padStart(5, '0')}.txt`;
  const head = `${title}\n${place.street}, ${place.postalCode} ${place.town}\nData: ${dayText(day)}\n`;
  const text = `${head}\n${lines.join('\n')}\n\n      RAZEM ${(total / 100).toFixed(2)} PLN\n      Uwagi: ${remark(random)}\n`;
  return { id: path, path, title, text };
}

function shoppingList(random: Random, number: number): TextSource & { path: string } {
  const day = random.below(DAYS);
  const items = Array.from({ length: random.between(6, 40) }, () => {
    const grocery = random.pick(GROCERIES);
    return {
      nazwa: `${random.pick(grocery.nouns)} ${random.pick(grocery.variants)}`,
      ilosc: random.between(1, 5),
      jednostka: grocery.unit,
      kategoria: grocery.category,
      uwagi: random.chance(0.4) ? remark(random) : '',
      kupione: random.chance(0.7),
    };
  });
  const title = `Lista zakupów ${dayText(day)}`;
  const path = `docs/eksport/lista-${String(number).padStart(4, '0')}.json`;
  return { id: path, path, title, text: `${JSON.stringify({ tytul: title, data: dayText(day), items }, null, 2)}\n` };
}

/**
 * Writes `docs/` and the odd ones that a backup must get right: byte copies, an empty file and directory, links, names
 * with spaces and Polish letters, unlike modes, an unfinished upload. Answers the texts for the vector store.
 */
export function writeDocuments(data: string, count: number, random: Random): TextSource[] {
  const folder = new Folder(data, random.fork('times'));
  const sources: TextSource[] = [];
  const odd = writeOddFiles(folder, random.fork('odd'));
  for (let number = 1; number <= count - odd; number++) {
    const kind = random.below(10);
    const document = (kind < 5 ? guide : kind < 8 ? invoice : shoppingList)(random, number);
    folder.write(document.path, document.text, number % 9 === 0 ? 0o600 : number % 7 === 0 ? 0o640 : 0o644);
    sources.push({ id: document.id, title: document.title, text: document.text });
    if (number === 1) {
      folder.write(`docs/archiwum/${document.title.replaceAll(/[/:]/g, '-')} – kopia`, folder.read(document.path));
      folder.write('docs/archiwum/duplikat.bak', folder.read(document.path), 0o444);
      folder.link('docs/najnowszy-poradnik.md', document.path.replace('docs/', ''));
    }
  }
  return sources;
}

/** Answers how many documents it wrote, the two copies that follow included. */
function writeOddFiles(folder: Folder, random: Random): number {
  folder.write(
    'docs/Przepisy babci – żurek i pierogi.md',
    `# Żurek\n\n${paragraph(random, 12)}\n\n# Pierogi\n\n${paragraph(random, 14)}\n`,
  );
  folder.write(
    'docs/Zgłoszenia reklamacyjne/Zażółć gęślą jaźń (kopia 2).txt',
    `${remark(random)}\n${paragraph(random, 5)}\n`,
  );
  folder.write('docs/pusty plik.txt', '');
  folder.write(
    'docs/narzędzia/przelicz.sh',
    '#!/bin/sh\n# Sums the amounts of an exported list.\njq \'[.items[].ilosc] | add\' "$1"\n',
    0o755,
  );
  folder.write('docs/do odczytu.txt', `${paragraph(random, 8)}\n`, 0o444);
  folder.write('uploads/.upload-7f3a.tmp', Buffer.from(`unfinished upload ${random.hex(64)}\n`));
  folder.write('uploads/avatars/README', 'Avatars are squares of 256 pixels.\n');
  folder.link('uploads/aktualne', 'receipts');
  folder.link('docs/archiwum/zerwany-odnośnik', '../usunięte/plik.md');
  folder.emptyDirectory('docs/szkice');
  return 7;
}
