// expect: nothing
import 'node:child_process';
import '@foodsave-backup/component';
import '@foodsave-backup/kernel';
import '@foodsave-backup/repository';
