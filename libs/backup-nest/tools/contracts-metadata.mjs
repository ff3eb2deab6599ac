// Writes src/openapi/contracts-metadata.ts: types, descriptions and examples of the classes in libs/contracts, as
// @nestjs/swagger's own compiler plugin finds them. The contracts stay free of swagger, and what the document says of them
// cannot differ from their sources: a test compares this output with the file.
//
//   node libs/backup-nest/tools/contracts-metadata.mjs
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { ReadonlyVisitor } from '@nestjs/swagger/plugin';
import { format, resolveConfig } from 'prettier';
import ts from 'typescript';

const CONTRACTS = path.resolve(import.meta.dirname, '..', '..', 'contracts');
export const TARGET = path.resolve(import.meta.dirname, '..', 'src', 'openapi', 'contracts-metadata.ts');
const FOLDERS = ['requests', 'responses'].map((name) => path.join(CONTRACTS, 'src', name) + path.sep);

const HEAD = `// Made from the sources of libs/contracts by tools/contracts-metadata.mjs. Do not edit.
import * as contracts from '@foodsave-backup/contracts';
import type { ModelMetadata } from './document.ts';

export function contractsMetadata(): ModelMetadata {
  return `;

/** The text of src/openapi/contracts-metadata.ts for the contracts as they are now. */
export async function contractsMetadata() {
  const program = ReadonlyVisitor.createTsProgram(path.join(CONTRACTS, 'tsconfig.json'));
  const visitor = new ReadonlyVisitor({
    pathToSource: path.join(CONTRACTS, 'src'),
    introspectComments: true,
    classValidatorShim: true,
    esmCompatible: true,
    // Every file of the folders that hold what crosses the wire.
    dtoFileNameSuffix: ['requests.ts', 'backup.ts', 'problem.ts', 'results.ts', 'run.ts'],
  });
  for (const file of program.getSourceFiles()) {
    const wanted = FOLDERS.some((folder) => path.normalize(file.fileName).startsWith(folder));
    if (wanted && !file.fileName.endsWith('.test.ts')) visitor.visit(program, file);
  }
  const printer = ts.createPrinter();
  const empty = ts.createSourceFile('metadata.ts', '', ts.ScriptTarget.ESNext, false, ts.ScriptKind.TS);
  const classes = visitor.collect().models.flatMap(([, meta]) => Object.entries(meta));
  const text = classes
    .map(([name, properties]) => `${name}: ${printer.printNode(ts.EmitHint.Unspecified, properties, empty)}`)
    .sort()
    .join(',\n');
  // The plugin names other classes through an import of their file: here they all come from the one door.
  const body = text.replaceAll(/\bt\["[^"]*"\]\./g, 'contracts.');
  const options = await resolveConfig(TARGET);
  return format(`${HEAD}{ ${body} };\n}\n`, { ...options, filepath: TARGET });
}

if (process.argv[1] === import.meta.filename) writeFileSync(TARGET, await contractsMetadata());
