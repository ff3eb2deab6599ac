// expect: web-imports
import type {} from '@foodsave-backup/runtime';
