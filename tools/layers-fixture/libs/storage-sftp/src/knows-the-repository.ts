// expect: storage-sftp-imports
import '@foodsave-backup/repository';
