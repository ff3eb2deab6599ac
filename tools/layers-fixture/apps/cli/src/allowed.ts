// expect: nothing
import 'commander';
import type {} from '@foodsave-backup/engine';
import '@foodsave-backup/runtime';
