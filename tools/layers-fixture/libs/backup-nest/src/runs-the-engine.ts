// expect: backup-nest-types-only
import '@foodsave-backup/engine';
