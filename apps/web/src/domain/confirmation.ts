/** Without letters and digits that are taken for one another. */
const ALPHABET = 'ACDEFHJKMNPRTUVWXY3479';

/** Four characters to be typed before something that cannot be taken back lightly. */
export function newConfirmationCode(random: Uint8Array = crypto.getRandomValues(new Uint8Array(4))): string {
  return Array.from(random, (byte) => ALPHABET[byte % ALPHABET.length]).join('');
}

export function matchesCode(typed: string, code: string): boolean {
  return typed.trim().toUpperCase() === code;
}
