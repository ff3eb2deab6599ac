// expect: repository-node-modules
import 'node:https';
