/** Colours of one stream; each returns its text unchanged where there are none. */
export interface Style {
  bold: (text: string) => string;
  dim: (text: string) => string;
  red: (text: string) => string;
  green: (text: string) => string;
  yellow: (text: string) => string;
  blue: (text: string) => string;
}

export function styleFor(color: boolean): Style {
  const with_ =
    (open: number, close: number) =>
    (text: string): string =>
      color ? `\u001b[${String(open)}m${text}\u001b[${String(close)}m` : text;
  return {
    bold: with_(1, 22),
    dim: with_(2, 22),
    red: with_(31, 39),
    green: with_(32, 39),
    yellow: with_(33, 39),
    blue: with_(34, 39),
  };
}
