// Writes the section "13 Examples" of FORMAT.md anew:
// node --conditions=@foodsave-backup/source libs/format/src/testing/write-examples.ts
import { readFileSync, writeFileSync } from 'node:fs';
import { withExamples } from './examples.ts';

const FORMAT_MD = new URL('../../FORMAT.md', import.meta.url);

writeFileSync(FORMAT_MD, withExamples(readFileSync(FORMAT_MD, 'utf8')));
