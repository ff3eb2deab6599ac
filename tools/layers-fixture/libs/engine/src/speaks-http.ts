// expect: engine-node-modules
import 'node:http';
