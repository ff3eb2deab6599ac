// expect: engine-imports
import '@foodsave-backup/testing';
