// Imports nothing before it has looked at the version: everything else needs a newer Node.js even to be parsed.
const NEEDED = 24;

if (Number(process.versions.node.split('.')[0]) < NEEDED) {
  const message = `Node.js ${String(NEEDED)} or newer is needed, this is ${process.versions.node}`;
  const hint = 'Start it with bin/foodsave-backup, which uses the Node.js that this checkout brings.';
  process.stderr.write(`Error [NODE_TOO_OLD]: ${message}\n→ ${hint}\n`);
  if (process.argv.includes('--json')) {
    process.stdout.write(`${JSON.stringify({ error: { code: 'NODE_TOO_OLD', message, hint } })}\n`);
  }
  process.exitCode = 2;
} else {
  const { main } = await import('./cli.ts');
  await main(process);
}
