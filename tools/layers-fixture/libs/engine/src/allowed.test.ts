// expect: nothing
import 'node:fs';
import 'vitest';
import '@foodsave-backup/components-files';
import '@foodsave-backup/testing';
