// expect: api-imports
import '@foodsave-backup/repository';
