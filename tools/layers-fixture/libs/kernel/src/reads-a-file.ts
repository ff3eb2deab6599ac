// expect: kernel-node-modules
import 'node:fs';
