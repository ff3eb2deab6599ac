// expect: retention-imports
import '@foodsave-backup/repository';
