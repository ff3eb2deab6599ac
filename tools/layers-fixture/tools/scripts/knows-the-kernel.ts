// expect: scripts-imports
import '@foodsave-backup/kernel';
