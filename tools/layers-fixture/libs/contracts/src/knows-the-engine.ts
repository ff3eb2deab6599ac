// expect: contracts-imports
import '@foodsave-backup/engine';
