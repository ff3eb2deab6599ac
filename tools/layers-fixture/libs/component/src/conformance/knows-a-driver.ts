// expect: component-conformance-imports
import '@foodsave-backup/components-files';
