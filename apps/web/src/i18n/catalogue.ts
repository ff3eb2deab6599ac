import type { en } from './en.ts';

export type Locale = 'en' | 'pl';
export const LOCALES: readonly Locale[] = ['en', 'pl'];

type EnglishKey = keyof typeof en;
/** Messages that depend on a count, without the suffix of their form. */
export type PluralKey = EnglishKey extends infer K ? (K extends `${infer Base}_other` ? Base : never) : never;
/** All other messages. */
export type MessageKey = Exclude<EnglishKey, `${PluralKey}_${'one' | 'other'}`>;

interface Forms {
  en: 'one' | 'other';
  pl: 'one' | 'few' | 'many' | 'other';
}

/** Every message, in every plural form that the language has. */
export type Catalogue<L extends Locale> = Readonly<Record<MessageKey | `${PluralKey}_${Forms[L]}`, string>>;
