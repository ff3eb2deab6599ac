// expect: components-database-imports
import '@foodsave-backup/components-files';
