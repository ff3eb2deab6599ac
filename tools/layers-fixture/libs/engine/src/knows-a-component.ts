// expect: engine-imports
import '@foodsave-backup/components-files';
