// expect: nothing
import 'vitest';
import '@foodsave-backup/kernel';
