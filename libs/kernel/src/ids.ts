import type { Clock } from './clock.ts';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/**
 * A sortable unique id: 48 bits of milliseconds and 80 random bits in Crockford's base 32, lower case, 26 characters
 * (the layout of a ULID, github.com/ulid/spec).
 */
export function newId(clock: Clock): string {
  let time = clock.now();
  let head = '';
  for (let i = 0; i < 10; i++) {
    head = ALPHABET.charAt(time % 32) + head;
    time = Math.floor(time / 32);
  }
  const random = crypto.getRandomValues(new Uint8Array(16));
  let tail = '';
  for (const byte of random) tail += ALPHABET.charAt(byte & 31);
  return head + tail;
}
