/** The number of an option. Throws for what is none above zero. */
export function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} is not a number above zero: ${text}`);
  return value;
}
