// expect: components-files-imports
import '@foodsave-backup/repository';
