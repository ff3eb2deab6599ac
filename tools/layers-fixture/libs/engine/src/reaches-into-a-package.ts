// expect: no-relative-import-of-a-package
import '../../../../../libs/kernel/src/index.ts';
