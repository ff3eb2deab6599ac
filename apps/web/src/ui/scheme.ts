const STORAGE_KEY = 'mantine-color-scheme-value';

/** Sets what Mantine will set after the first render: the reader's choice, or what the system prefers. */
export function applyStoredScheme(): void {
  const chosen = localStorage.getItem(STORAGE_KEY);
  const system = window.matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  const scheme = chosen === 'light' || chosen === 'dark' ? chosen : system;
  document.documentElement.setAttribute('data-mantine-color-scheme', scheme);
}
