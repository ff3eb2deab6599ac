// expect: archive-imports
import '@foodsave-backup/repository';
