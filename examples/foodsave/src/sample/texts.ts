import type { Random } from './random.ts';
import { GROCERIES } from './groceries.ts';
import * as words from './words.ts';

const DAY_MS = 86_400_000;
/** All dates of the sample lie in the 600 days that follow this one, so that no run depends on the machine's clock. */
const FIRST_DAY_MS = Date.UTC(2023, 8, 4);
export const DAYS = 600;

/** When the sample ends: the modification time of what has no date of its own. */
export const LAST_MOMENT = new Date(FIRST_DAY_MS + DAYS * DAY_MS);

/** ISO date (`2024-03-09`) of a day number, where 0 is the first day of the sample. */
export function dayText(day: number): string {
  return new Date(FIRST_DAY_MS + day * DAY_MS).toISOString().slice(0, 10);
}

/** An instant on a day of the sample, between 06:00 and 22:00 UTC. */
export function momentOn(day: number, random: Random): Date {
  return new Date(FIRST_DAY_MS + day * DAY_MS + random.between(6 * 3600, 22 * 3600 - 1) * 1000);
}

export function address(random: Random): { street: string; postalCode: string; town: string } {
  const [town, prefix] = random.pick(words.TOWNS);
  const flat = random.chance(0.4) ? `/${String(random.between(1, 90))}` : '';
  return {
    street: `ul. ${random.pick(words.STREETS)} ${String(random.between(1, 180))}${flat}`,
    postalCode: `${prefix}-${random.digits(3)}`,
    town,
  };
}

/** A remark of about 120 characters, as people leave on a line of a receipt. */
export function remark(random: Random): string {
  const lot = `partia L${random.digits(4)}-${random.digits(2)}`;
  return `${random.pick(words.NOTE_STARTS)}, ${random.pick(words.NOTE_MIDDLES)}; ${random.pick(words.NOTE_ENDS)} (${lot})`;
}

/** A product's name as a till prints it: capitals without accents, cut to 28 characters. */
export function tillName(name: string): string {
  const plain = name.replaceAll('ł', 'l').replaceAll('Ł', 'L').normalize('NFD').replaceAll(/\p{M}/gu, '');
  return plain.toUpperCase().slice(0, 28).padEnd(28);
}

/** The line of the receipt as the scanner read it; prices are in grosz. */
export function tillLine(tillName: string, quantity: number, price: number, amount: number): string {
  const count = quantity.toFixed(3).replace('.', ',');
  return `${tillName} ${count} x ${(price / 100).toFixed(2)} = ${(amount / 100).toFixed(2)} A`;
}

export function fill(template: string, random: Random): string {
  const noun = (): string => random.pick(random.pick(GROCERIES).nouns).toLowerCase();
  return template
    .replaceAll('{a}', noun)
    .replaceAll('{b}', noun)
    .replaceAll('{n}', () => String(random.between(2, 45)));
}

export interface RecipeText {
  title: string;
  ingredients: string;
  steps: string;
}

export function recipeText(random: Random): RecipeText {
  const groceries = random.some(GROCERIES, random.between(4, 7));
  const main = groceries[0] ?? random.pick(GROCERIES);
  const dish = `${random.pick(words.DISHES)} ${random.pick(words.DISH_STYLES)}`;
  return {
    title: `${dish}: ${random.pick(main.nouns).toLowerCase()}`,
    ingredients: groceries
      .map(
        (grocery) =>
          `${String(random.between(1, 9) * 50)} g – ${random.pick(grocery.nouns)} ${random.pick(grocery.variants)}`,
      )
      .join('\n'),
    steps: random
      .some(words.STEPS, random.between(5, 9))
      .map((step, index) => `${String(index + 1)}. ${fill(step, random)}`)
      .join('\n'),
  };
}

/** A paragraph of `count` sentences about storing food. */
export function paragraph(random: Random, count: number): string {
  return Array.from({ length: count }, () => fill(random.pick(words.GUIDE_SENTENCES), random)).join(' ');
}
