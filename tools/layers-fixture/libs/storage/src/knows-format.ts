// expect: storage-imports
import type {} from '@foodsave-backup/format';
