// expect: archive-node-modules
import 'node:http';
