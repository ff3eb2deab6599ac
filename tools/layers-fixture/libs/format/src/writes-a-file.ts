// expect: format-node-modules
import 'node:fs/promises';
