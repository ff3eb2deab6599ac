// expect: no-unknown-layer
import 'node:path';
