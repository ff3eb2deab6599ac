// expect: nothing
import 'yaml';
import '@foodsave-backup/components-database';
import '@foodsave-backup/engine';
