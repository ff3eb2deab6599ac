// expect: components-vector-store-imports
import '@foodsave-backup/components-database';
