// expect: web-types-only
import '@foodsave-backup/contracts/types';
