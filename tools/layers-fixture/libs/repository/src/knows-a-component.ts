// expect: repository-imports
import '@foodsave-backup/component';
