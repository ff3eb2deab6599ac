// expect: contracts-node-modules
import 'node:path';
