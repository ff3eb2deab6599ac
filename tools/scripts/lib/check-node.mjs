// Imported first, for its effect: the scripts run on the Node.js that the machine happens to have.
const OLDEST = 20;
const major = Number.parseInt(process.versions.node, 10);

if (major < OLDEST) {
  console.error(
    `This needs Node.js ${OLDEST} or newer to install itself; this is ${process.version} (${process.execPath}).\n` +
      'Install a current Node.js (https://nodejs.org/en/download), then run the same command again.',
  );
  process.exit(2);
}
