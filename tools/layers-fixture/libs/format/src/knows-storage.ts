// expect: format-imports
import '@foodsave-backup/storage';
