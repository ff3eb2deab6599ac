// expect: cli-types-only
import '@foodsave-backup/engine';
