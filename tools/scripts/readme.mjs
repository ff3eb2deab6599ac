import './lib/check-node.mjs';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBuilt } from './lib/build.mjs';
import { main } from './lib/fail.mjs';
import { ensureInstalled } from './lib/install.mjs';
import { inRoot } from './lib/paths.mjs';
import { differences, replaceSession, sessionIn } from './lib/session.mjs';

// Runs what the README shows on a fresh sample and writes what it printed between the marks; with --check it compares.

/** [what the README shows, the arguments behind it] */
const COMMANDS = [
  ['bin/foodsave-backup create --name before_deploy', ['create', '--name', 'before_deploy']],
  ['bin/foodsave-backup list', ['list']],
  ['bin/foodsave-backup verify before_deploy', ['verify', 'before_deploy']],
  ['bin/foodsave-backup restore before_deploy --target restored', ['restore', 'before_deploy', '--target', 'restored']],
];

function runSession() {
  const directory = mkdtempSync(join(tmpdir(), 'foodsave-readme-'));
  try {
    const node = process.execPath;
    execFileSync(node, [inRoot('tools', 'scripts', 'sample.mjs'), join(directory, 'demo')], { stdio: 'ignore' });
    const env = { ...process.env, NO_COLOR: '1', LC_ALL: 'C.UTF-8', TZ: 'UTC' };
    delete env.BACKUP_CONFIG;
    let text = '';
    for (const [shown, args] of COMMANDS) {
      const out = execFileSync(inRoot('bin', 'foodsave-backup'), args, { cwd: directory, env, encoding: 'utf8' });
      text += `$ ${shown}\n${out.replaceAll(directory, '/srv/foodsave').trim()}\n\n`;
    }
    return text.trim().replace(/[ \t]+$/gm, '');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

await main(async () => {
  const check = process.argv.includes('--check');
  if (!check) {
    await ensureInstalled();
    await ensureBuilt();
  }
  const path = inRoot('README.md');
  const readme = readFileSync(path, 'utf8');
  const session = runSession();
  if (!check) {
    writeFileSync(path, replaceSession(readme, session));
    return 0;
  }
  const found = differences(sessionIn(readme), session);
  for (const line of found) process.stdout.write(`${line}\n`);
  return found.length === 0 ? 0 : 1;
});
