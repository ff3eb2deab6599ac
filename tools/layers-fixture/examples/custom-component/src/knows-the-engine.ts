// expect: custom-component-imports
import '@foodsave-backup/engine';
