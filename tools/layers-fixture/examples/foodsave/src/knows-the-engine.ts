// expect: example-imports
import '@foodsave-backup/engine';
