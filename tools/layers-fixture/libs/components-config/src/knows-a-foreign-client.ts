// expect: components-config-imports
import 'better-sqlite3';
