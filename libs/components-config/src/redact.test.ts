import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { redact, unredact } from './redact.ts';
import { isSecretKey, REDACTED } from './secret-keys.ts';

const redacted = (name: string, text: string, secrets: string[] = []): { text: string; keys: string[] } => {
  const { bytes, keys } = redact(name, Buffer.from(text), secrets);
  return { text: Buffer.from(bytes).toString(), keys };
};
const PEM = '-----BEGIN RSA PRIVATE KEY-----\nMIIcanary\ncanary==\n-----END RSA PRIVATE KEY-----';

describe('secret-like keys', () => {
  it.each([
    'password',
    'DB_PASSWORD',
    'dbPasswd',
    'JWT_SECRET',
    'client-secret',
    'authToken',
    'GITHUB_TOKEN',
    'refresh_tokens',
    'api_key',
    'apiKey',
    'OPENAI_APIKEY',
    'privateKey',
    'aws_access_key_id',
    'credentials',
    'SENTRY_DSN',
    'DB_PWD',
    'ENCRYPTION_KEY',
  ])('hides %s', (key) => {
    expect(isSecretKey(key)).toBe(true);
  });
  it.each(['LOG_LEVEL', 'tokenizer', 'host', 'key', 'keyboard', 'author', 'port', 'database', 'primary_key'])(
    'shows %s',
    (key) => {
      expect(isSecretKey(key)).toBe(false);
    },
  );
});

const CASES: readonly (readonly [name: string, text: string, canaries: number])[] = [
  [
    '.env',
    `# old: DB_PASSWORD=canary0\nexport DB_PASSWORD="canary1 with blanks" # why\nAPI_KEY='canary2'\nLOG_LEVEL=debug\nJWT_SECRET=canary3\nKEY_PASSPHRASE="canary4\nline two canary5"\nEMPTY_PASSWORD=\nREF_TOKEN=\${OTHER}\n`,
    6,
  ],
  [
    'app.yaml',
    `# the app\ndb:\n  host: h # keep\n  password: canary1 # why\n  url: postgres://u:canary2@h/db\ntls:\n  key: |\n    ${PEM.replaceAll('\n', '\n    ')}\n  private_key: |\n    canary3\n    canary4\ncredentials:\n  - { user: canary5, pass: 'canary6' }\nshared: &s canary7\napi_token: *s\nmax_tokens: 4096\n# password: canary8\nnext: 1 # token=canary9\n`,
    9,
  ],
  [
    'app.json',
    `{"a":{"client_secret":"canary1","n":1},"list":[{"token":"canary2"}],"dsn":"host=x password=canary3","note":"see?access_token=canary4&x=1","ok":true}`,
    4,
  ],
  ['broken.json', `{ // a comment\n  "password": "canary1", "token": "canary2"\n}`, 2],
  ['my.ini', `[db]\npassword = canary1 ; why\nuser=u\n[smtp]\n;passwd=canary2\nhost: h\n`, 2],
  ['app.properties', `db.password=canary1\\\n  canary2\nname=x\n`, 2],
  ['app.toml', `[a]\ndb = { user = "u", password = "canary1" }\nsecret = """\ncanary2\n"""\n`, 2],
  ['redis.conf', `requirepass canary1\nport 6379\n`, 1],
  ['id_rsa', `${PEM}\n`, 2],
  ['weird.txt', `hello amqp://me:canary1@mq:5672/ and\nTOKEN: canary2\n${PEM}`, 4],
];

describe('redaction', () => {
  it.each(CASES)('leaves no secret in %s and changes nothing else', (name, text, canaries) => {
    expect(text.match(/canary/g)?.length).toBeGreaterThanOrEqual(canaries);
    const out = redacted(name, text);
    expect(out.text).not.toMatch(/canary/);
    expect(out.text).toContain(REDACTED);
    expect(out.keys.length).toBeGreaterThan(0);
    // The live file holds every value: the merge is the original, byte for byte, but for YAML's block scalars.
    const back = unredact(name, Buffer.from(out.text), Buffer.from(text), []);
    expect(back.missing).toEqual([]);
    if (name === 'app.yaml') expect(parse(Buffer.from(back.bytes).toString())).toEqual(parse(text));
    else expect(Buffer.from(back.bytes).toString()).toBe(text);
  });

  it('keeps comments, order and structure', () => {
    expect(redacted('.env', '# c\nA=1\nDB_PASSWORD="x y" # why\n\nB=2\n').text).toBe(
      `# c\nA=1\nDB_PASSWORD="${REDACTED}" # why\n\nB=2\n`,
    );
    expect(redacted('a.yaml', 'b:  1 # one\npassword:   p   # two\n').text).toBe(
      `b:  1 # one\npassword:   "${REDACTED}"   # two\n`,
    );
    expect(redacted('a.yaml', 'b: 1\n').keys).toEqual([]);
  });

  it('hides what the configuration names, as a key or as a path', () => {
    const text = 'smtp:\n  login: canary\nui:\n  login: shown\n';
    expect(redacted('a.yaml', text, ['smtp.login'])).toEqual({
      text: text.replace('canary', `"${REDACTED}"`),
      keys: ['smtp.login'],
    });
    expect(redacted('.env', 'LICENCE=canary\n', ['licence']).text).toBe(`LICENCE=${REDACTED}\n`);
  });

  it('takes live values where the live file has the key, and names the others', () => {
    const stored = Buffer.from(redacted('a.yaml', 'a:\n  password: old\nb:\n  token: t\nlevel: from-backup\n').text);
    const live = Buffer.from('level: live\na:\n  user: u\n  password: "new"\n');
    const { bytes, kept, missing } = unredact('a.yaml', stored, live, []);
    expect(Buffer.from(bytes).toString()).toBe(
      `a:\n  password: "new"\nb:\n  token: "${REDACTED}"\nlevel: from-backup\n`,
    );
    expect({ kept, missing }).toEqual({ kept: ['a.password'], missing: ['b.token'] });
    expect(unredact('a.yaml', stored, undefined, []).missing).toEqual(['a.password', 'b.token']);
  });

  it('loses nothing of text that is not UTF-8', () => {
    const bytes = Buffer.concat([Buffer.from('# caf\xe9\nPASSWORD=', 'latin1'), Buffer.from('canary\n')]);
    const out = redact('.env', bytes, []);
    expect(Buffer.from(out.bytes).toString('latin1')).toBe(`# caf\xe9\nPASSWORD=${REDACTED}\n`);
    expect(Buffer.compare(unredact('.env', out.bytes, bytes, []).bytes, bytes)).toBe(0);
  });

  it('survives any text, and hides any password in an .env file and in JSON', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 200 }),
        fc.constantFrom('.env', 'a.yaml', 'a.json', 'a.conf', 'x'),
        (text, name) => {
          const bytes = Buffer.from(text);
          const out = redact(name, bytes, ['x']);
          if (out.keys.length === 0) expect(Buffer.compare(out.bytes, bytes)).toBe(0);
        },
      ),
      { numRuns: 1000 },
    );
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }), (secret) => {
        const canary = `Zq9${secret}9qZ`;
        const json = JSON.stringify({ nested: [{ dbPassword: canary, port: 1 }] });
        const out = redacted('a.json', json);
        expect(JSON.parse(out.text)).toEqual({ nested: [{ dbPassword: REDACTED, port: 1 }] });
        expect(redacted('.env', `A=1\nDB_PASSWORD=${JSON.stringify(canary)}\nB=2\n`).text).toBe(
          `A=1\nDB_PASSWORD="${REDACTED}"\nB=2\n`,
        );
      }),
      { numRuns: 500 },
    );
  });
});
