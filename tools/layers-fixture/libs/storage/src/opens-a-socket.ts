// expect: storage-node-modules
import 'node:net';
