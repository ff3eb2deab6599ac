// expect: engine-test-imports
import '@foodsave-backup/backup-nest';
