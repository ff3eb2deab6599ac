/** The named keys of a component's configuration. Only texts, numbers and lists of them: nothing that could hide a secret. */
export function settingsOf(config: unknown, keys: readonly string[]): Record<string, unknown> {
  const settings: Record<string, unknown> = {};
  if (typeof config !== 'object' || config === null) return settings;
  for (const [key, value] of Object.entries(config)) {
    if (keys.includes(key) && (isPlain(value) || (Array.isArray(value) && value.every(isPlain)))) settings[key] = value;
  }
  return settings;
}

function isPlain(value: unknown): boolean {
  return ['string', 'number', 'boolean'].includes(typeof value);
}
