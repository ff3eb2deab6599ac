// expect: no-unresolved
import './missing.ts';
