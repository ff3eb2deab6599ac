// expect: backup-nest-imports
import '@foodsave-backup/repository';
