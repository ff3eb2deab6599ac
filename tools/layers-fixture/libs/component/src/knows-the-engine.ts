// expect: component-imports
import '@foodsave-backup/engine';
