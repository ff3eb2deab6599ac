#!/usr/bin/env node
// Nothing is imported before the version is known: an older Node.js would crash on what the rest needs, without a word.
const OLDEST = 24;
const major = Number.parseInt(process.versions.node, 10);

if (major < OLDEST) {
  process.stderr.write(
    `Error [NODE_TOO_OLD]: The server needs Node.js ${OLDEST} or newer; this is ${process.version} (${process.execPath})\n` +
      '  Start it with "npm start", which uses the Node.js that the project brings.\n',
  );
  process.exitCode = 2;
} else {
  const { start } = await import('./start.ts');
  process.exitCode = await start();
}
