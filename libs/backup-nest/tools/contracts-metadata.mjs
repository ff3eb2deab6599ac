// Writes src/openapi/generated/contracts-metadata.ts: types, descriptions and examples of the classes in libs/contracts, as
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
export const TARGET = path.resolve(import.meta.dirname, '..', 'src', 'openapi', 'generated', 'contracts-metadata.ts');
const FOLDERS = ['requests', 'responses'].map((name) => path.join(CONTRACTS, 'src', name) + path.sep);

const HEAD = `/* eslint-disable max-lines, max-lines-per-function -- one entry for each class, made by a program */
// Made from the sources of libs/contracts by tools/contracts-metadata.mjs. Do not edit.
import * as contracts from '@foodsave-backup/contracts';
import type { ModelMetadata } from '../model-metadata.ts';

export function contractsMetadata(): ModelMetadata {
  return `;

/** The text of src/openapi/generated/contracts-metadata.ts for the contracts as they are now. */
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
  const records = new Map();
  for (const file of program.getSourceFiles()) {
    const wanted = FOLDERS.some((folder) => path.normalize(file.fileName).startsWith(folder));
    if (!wanted || file.fileName.endsWith('.test.ts')) continue;
    visitor.visit(program, file);
    collectRecords(file, records);
  }
  const printer = ts.createPrinter();
  const empty = ts.createSourceFile('metadata.ts', '', ts.ScriptTarget.ESNext, false, ts.ScriptKind.TS);
  const classes = new Map(visitor.collect().models.flatMap(([, meta]) => Object.entries(meta)));
  const text = [...classes]
    .map(([name, literal]) => [name, corrected(literal, records.get(name) ?? new Map(), classes)])
    .map(([name, literal]) => `${name}: ${printer.printNode(ts.EmitHint.Unspecified, literal, empty)}`)
    .sort()
    .join(',\n');
  // The plugin names other classes through an import of their file: here they all come from the one door.
  const body = text.replaceAll(/\bt\["[^"]*"\]\./g, 'contracts.');
  const options = await resolveConfig(TARGET);
  return format(`${HEAD}{ ${body} };\n}\n`, { ...options, filepath: TARGET });
}

/** Properties of the form `Record<string, T>`: class → property → name of T. */
function collectRecords(file, records) {
  for (const statement of file.statements) {
    if (!ts.isClassDeclaration(statement) || statement.name === undefined) continue;
    const found = new Map();
    for (const { name, type } of statement.members.filter(ts.isPropertyDeclaration)) {
      if (type === undefined || !ts.isTypeReferenceNode(type) || type.typeName.getText(file) !== 'Record') continue;
      const value = type.typeArguments?.[1];
      if (value !== undefined && ts.isTypeReferenceNode(value))
        found.set(name.getText(file), value.typeName.getText(file));
    }
    records.set(statement.name.text, found);
  }
}

/** What the plugin does not see: the class of a record's values, and that a parameter with a default may be left out. */
function corrected(literal, records, classes) {
  const { factory } = ts;
  const property = (name, value) => factory.createPropertyAssignment(name, value);
  return factory.createObjectLiteralExpression(
    literal.properties.map((assignment) => {
      const record = records.get(assignment.name.text);
      const facts = assignment.initializer.properties;
      const hasDefault = facts.some((fact) => fact.name.text === 'default');
      return property(
        assignment.name,
        factory.createObjectLiteralExpression(
          facts.map((fact) => {
            if (fact.name.text === 'required' && hasDefault) return property('required', factory.createFalse());
            if (fact.name.text !== 'additionalProperties' || !classes.has(record)) return fact;
            const reference = factory.createStringLiteral(`#/components/schemas/${record}`);
            return property(fact.name, factory.createObjectLiteralExpression([property('$ref', reference)]));
          }),
        ),
      );
    }),
  );
}

if (process.argv[1] === import.meta.filename) writeFileSync(TARGET, await contractsMetadata());
