// expect: catalogue-imports
import '@foodsave-backup/engine';
