// expect: backup-nest-imports
import '@foodsave-backup/storage';
