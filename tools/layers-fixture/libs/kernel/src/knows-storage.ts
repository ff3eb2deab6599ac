// expect: kernel-imports
import '@foodsave-backup/storage';
