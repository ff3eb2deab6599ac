// expect: web-node-modules
import 'node:buffer';
