import { LOCALES, type Catalogue, type Locale, type MessageKey, type PluralKey } from './catalogue.ts';
import { en } from './en.ts';
import { formatter, type Formatter } from './format.ts';
import { pl } from './pl.ts';

type Params = Readonly<Record<string, string | number>>;

export interface I18n extends Formatter {
  locale: Locale;
  t: (key: MessageKey, params?: Params) => string;
  /** In the plural form that `count` asks for; `{{count}}` is the number as the language writes it. */
  plural: (key: PluralKey, count: number, params?: Params) => string;
}

const CATALOGUES: { [L in Locale]: Catalogue<L> } = { en, pl };

function fill(text: string, params: Params): string {
  return text.replaceAll(/\{\{(\w+)\}\}/g, (whole, name: string) => {
    const value = params[name];
    return value === undefined ? whole : String(value);
  });
}

export function createI18n(locale: Locale): I18n {
  const messages: Readonly<Partial<Record<string, string>>> = CATALOGUES[locale];
  const rules = new Intl.PluralRules(locale);
  const format = formatter(locale);
  return {
    ...format,
    locale,
    t: (key, params = {}) => fill(messages[key] ?? key, params),
    plural: (key, count, params = {}) => {
      const text = messages[`${key}_${rules.select(count)}`] ?? messages[`${key}_other`] ?? key;
      return fill(text, { ...params, count: format.number(count) });
    },
  };
}

/** The first of the reader's languages that there is a catalogue for. */
export function pickLocale(languages: readonly string[]): Locale {
  for (const language of languages) {
    const found = LOCALES.find((locale) => locale === language.toLowerCase().split('-')[0]);
    if (found !== undefined) return found;
  }
  return 'en';
}
