// expect: retention-node-modules
import 'node:fs';
