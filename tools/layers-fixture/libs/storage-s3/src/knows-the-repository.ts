// expect: storage-s3-imports
import '@foodsave-backup/repository';
