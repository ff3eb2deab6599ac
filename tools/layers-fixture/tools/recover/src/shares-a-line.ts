// expect: recover-imports
import '@foodsave-backup/kernel';
