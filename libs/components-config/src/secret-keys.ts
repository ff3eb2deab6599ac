/** What stands in a backup in place of a secret value. */
export const REDACTED = '**REDACTED**';

/**
 * The published list: a key is secret-like when, without case and separators, it contains one of these …
 */
export const SECRET_PARTS: readonly string[] = [
  'password',
  'passwd',
  'passphrase',
  'secret',
  'apikey',
  'privatekey',
  'accesskey',
  'encryptionkey',
  'signingkey',
  'credential',
  'connectionstring',
];

/** … or one of its words (`DB_PWD`, `authToken`) is or ends with one of these. */
export const SECRET_WORDS: readonly string[] = ['token', 'tokens', 'pwd', 'dsn', 'requirepass', 'masterauth'];

/** Decides about keys: the published list, and any named in the configuration (the key itself or its dotted path, any case). */
export class SecretKeys {
  private readonly named: ReadonlySet<string>;

  constructor(named: readonly string[]) {
    this.named = new Set(named.map((name) => name.toLowerCase()));
  }

  /** `path`: the keys from the outermost to the value's own. */
  matches(path: readonly string[]): boolean {
    const key = path.at(-1) ?? '';
    if (this.named.has(key.toLowerCase()) || this.named.has(path.join('.').toLowerCase())) return true;
    return isSecretKey(key);
  }
}

export function isSecretKey(key: string): boolean {
  const plain = key.toLowerCase().replace(/[^a-z0-9]/g, '');
  if (SECRET_PARTS.some((part) => plain.includes(part))) return true;
  const words = key
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/);
  return words.some((word) =>
    SECRET_WORDS.some((secret) => word === secret || (secret !== 'tokens' && word.endsWith(secret))),
  );
}

/**
 * Whether a value under a secret-like key is worth hiding: not when it is empty, already redacted, a mere reference to an
 * environment variable, a switch, or the number behind a key such as `max_tokens`.
 */
export function isSecretValue(key: string, value: string): boolean {
  if (value === '' || value === 'null' || value === '~') return false;
  if (/^\$\{?[A-Za-z_][A-Za-z0-9_]*\}?$/.test(value)) return false;
  if (/^(true|false|yes|no|on|off)$/i.test(value)) return false;
  return !(/tokens$/i.test(key) && /^[0-9_]+$/.test(value));
}
