// expect: testing-imports
import '@foodsave-backup/engine';
