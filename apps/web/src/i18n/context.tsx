import { createContext, useContext, useEffect, useMemo, useState, type ReactElement, type ReactNode } from 'react';
import { LOCALES, type Locale } from './catalogue.ts';
import { createI18n, pickLocale, type I18n } from './i18n.ts';

const STORAGE_KEY = 'foodsave-backup.locale';

const I18nContext = createContext<{ i18n: I18n; setLocale: (locale: Locale) => void } | undefined>(undefined);

function initialLocale(): Locale {
  const chosen = localStorage.getItem(STORAGE_KEY);
  return LOCALES.find((locale) => locale === chosen) ?? pickLocale(navigator.languages);
}

export function I18nProvider({ children }: { children: ReactNode }): ReactElement {
  const [locale, setLocale] = useState(initialLocale);
  const value = useMemo(
    () => ({
      i18n: createI18n(locale),
      setLocale: (chosen: Locale) => {
        localStorage.setItem(STORAGE_KEY, chosen);
        setLocale(chosen);
      },
    }),
    [locale],
  );
  useEffect(() => {
    document.documentElement.lang = locale;
  }, [locale]);
  return <I18nContext value={value}>{children}</I18nContext>;
}

function useI18nContext(): { i18n: I18n; setLocale: (locale: Locale) => void } {
  const value = useContext(I18nContext);
  if (value === undefined) throw new Error('I18nProvider is missing above this component');
  return value;
}

export function useI18n(): I18n {
  return useI18nContext().i18n;
}

export function useSetLocale(): (locale: Locale) => void {
  return useI18nContext().setLocale;
}
