import { stripVTControlCharacters } from 'node:util';

const CONTROL = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu;
// Wide in terminals: East Asian wide and full-width blocks, and what is drawn as a picture.
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;
const NO_WIDTH = /^\p{M}$/u;

/** Text from outside (paths, tags, messages) on one line: control characters, which could steer a terminal, become `?`. */
export function visible(text: string): string {
  return text.replace(CONTROL, '?');
}

/** Text from outside whose line breaks are meant. */
export function visibleLines(text: string): string {
  return text.split('\n').map(visible).join('\n');
}

/** Columns that a terminal needs for it; colour codes need none. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of stripVTControlCharacters(text)) {
    if (!NO_WIDTH.test(character)) width += WIDE.test(character) ? 2 : 1;
  }
  return width;
}

/** Shortened in the middle, where paths say least, to at most `width` columns. */
export function shorten(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  if (width < 2) return '…'.slice(0, width);
  const characters = Array.from(text);
  const headWidth = Math.floor((width - 1) / 3);
  const head = take(characters, headWidth);
  const tail = take(characters.toReversed(), width - 1 - displayWidth(head));
  return `${head}…${Array.from(tail).reverse().join('')}`;
}

function take(characters: readonly string[], width: number): string {
  let out = '';
  let used = 0;
  for (const character of characters) {
    used += displayWidth(character);
    if (used > width) break;
    out += character;
  }
  return out;
}

/** `1 file`, `2 files`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${grouped(number)} ${number === 1 ? one : many}`;
}

/** `1,234,567` */
export function grouped(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ',');
}
