// expect: storage-imports
import 'better-sqlite3';
