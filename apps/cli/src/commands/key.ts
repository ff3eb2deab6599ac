import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import type { ExitCode } from '@foodsave-backup/contracts/codes';
import { BackupError, systemErrorCode } from '@foodsave-backup/kernel';
import { ANSWERED, type App } from '../app.ts';
import { keysText } from '../render/guarding.ts';
import { visible } from '../render/text.ts';

export interface AddKeyOptions {
  label: string;
  keyFile?: string;
  keyFileOut?: string;
}

export interface ExportKeyOptions {
  out?: string;
  stdout?: boolean;
}

export function listKeys(app: App): Promise<ExitCode> {
  return app.ask(
    (engine) => engine.keys.list(),
    (view) => ({ body: view, human: (style) => keysText(view, app.now(), style), exit: ANSWERED }),
  );
}

export function addKey(app: App, options: AddKeyOptions): Promise<ExitCode> {
  const { label, keyFile, keyFileOut } = options;
  const out = keyFileOut === undefined ? undefined : resolve(app.io.cwd, keyFileOut);
  if (keyFile === undefined && out === undefined) {
    throw new BackupError('USAGE', 'It is not said where the new secret goes', {
      hint: 'Give --key-file-out FILE for a generated one, or --key-file FILE with one of your own.',
    });
  }
  return app.withEngine(async ({ engine, config }) => {
    const { assertSecretPlace, newKeyFile } = await import('@foodsave-backup/runtime');
    if (out !== undefined) await assertSecretPlace(config, out);
    const key = await engine.keys.add({
      label,
      secret: () =>
        out === undefined
          ? givenSecret(app, keyFile ?? '-')
          : newKeyFile(out, 'Name a file that does not exist yet. No key was added.'),
    });
    return app.out.answer({
      body: { ...key, ...(out === undefined ? {} : { keyFile: out }) },
      human: (style) => `${style.green('✓ added')}  key ${key.id} (${visible(key.label)})`,
      notes: out === undefined ? [] : [`Its secret is in ${out}. Put that file somewhere else than the backups.`],
      exit: ANSWERED,
    });
  });
}

/** Throws KEY_MISSING; never tells what was in the file. */
async function givenSecret(app: App, file: string): Promise<string> {
  const { secretOf } = await import('@foodsave-backup/runtime');
  let content: string;
  try {
    content = file === '-' ? await text(app.io.stdin) : await readFile(resolve(app.io.cwd, file), 'utf8');
  } catch (error) {
    throw new BackupError('KEY_MISSING', `The file with the secret cannot be read (${systemErrorCode(error) ?? '?'})`, {
      hint: 'Check the path given with --key-file.',
      cause: error,
    });
  }
  const secret = secretOf(content);
  if (secret.length < SECRET_MIN) {
    throw new BackupError('VALIDATION_FAILED', `The secret has fewer than ${String(SECRET_MIN)} characters`, {
      hint: 'Use --key-file-out to have one generated, or a passphrase of several words.',
    });
  }
  return secret;
}

/** Shorter ones can be guessed by who has a copy of the repository. */
const SECRET_MIN = 16;

export function removeKey(app: App, id: string, options: { yes?: boolean }): Promise<ExitCode> {
  return app.withEngine(async ({ engine }) => {
    const key = await engine.keys.remove(id, { confirmed: options.yes === true });
    return app.out.answer({
      body: key,
      human: () => `Removed key ${visible(key.id)} (${visible(key.label)}).`,
      notes: ['Whoever has its secret and an older copy of the repository can still read that copy.'],
      exit: ANSWERED,
    });
  });
}

export function rotateKey(app: App, options: { label: string }): Promise<ExitCode> {
  return app.withEngine(async ({ engine }) => {
    const rotated = await engine.keys.rotate(options.label);
    const { key, removed, location, resumed } = rotated;
    const what = resumed ? 'ended the rotation that was interrupted' : 'rotated';
    return app.out.answer({
      body: rotated,
      human: (style) => `${style.green(`✓ ${what}`)}  key ${key.id} (${visible(key.label)}) is in ${visible(location)}`,
      notes: [
        'Print the key sheet again ("key export") and destroy the old one: it opens nothing new.',
        `Whoever has the old secret and an older copy of the repository can still read that copy, and with its keys this repository too.`,
        `Other machines that use the old secret need the new one now (${removed.length === 0 ? 'no key' : removed.join(', ')} was removed).`,
      ],
      exit: ANSWERED,
    });
  });
}

export function exportKey(app: App, options: ExportKeyOptions): Promise<ExitCode> {
  const out = options.out === undefined ? undefined : resolve(app.io.cwd, options.out);
  if (out === undefined && options.stdout !== true) {
    throw new BackupError('USAGE', 'It is not said where the sheet goes', {
      hint: 'Give --out FILE, or --stdout to print it, secret and all.',
    });
  }
  if (out === undefined && app.out.mode !== 'human') {
    throw new BackupError('USAGE', 'A sheet is no JSON: the secret is never part of it', {
      hint: 'Give --out FILE with --json, or --stdout without it.',
    });
  }
  return app.withEngine(async ({ engine, config }) => {
    const { assertSecretPlace, writePrivateFile } = await import('@foodsave-backup/runtime');
    if (out !== undefined) await assertSecretPlace(config, out);
    const { text: sheet, ...facts } = await engine.keys.export();
    if (out === undefined) return app.out.answer({ body: facts, human: () => sheet, exit: ANSWERED, asked: true });
    await writePrivateFile(out, sheet, 'The key sheet', 'Name a file that does not exist yet.');
    return app.out.answer({
      body: { ...facts, file: out },
      human: (style) => `${style.green('✓ wrote')}  the key sheet to ${visible(out)}`,
      notes: ['It holds the secret. Print it, put it somewhere safe, then delete the file.'],
      exit: ANSWERED,
    });
  });
}
