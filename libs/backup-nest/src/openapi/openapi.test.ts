import { readFileSync } from 'node:fs';
import { Logger } from '@nestjs/common';
import type { INestApplication } from '@nestjs/common';
import type { OpenAPIObject } from '@nestjs/swagger';
import { Test } from '@nestjs/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contractsMetadata as generate, TARGET } from '../../tools/contracts-metadata.mjs';
import { BackupModule } from '../backup.module.ts';
import { Workspace } from '../testing/workspace.ts';
import { contractsMetadata } from './generated/contracts-metadata.ts';
import { apiDocument } from './document.ts';

interface Schema {
  properties?: Record<string, Record<string, unknown>>;
  $ref?: string;
}

let space: Workspace;
let app: INestApplication;
let document: OpenAPIObject;
let routes: [string, string][];

beforeAll(async () => {
  Logger.overrideLogger(false);
  space = new Workspace();
  const module = await Test.createTestingModule({ imports: [BackupModule.forRoot(await space.options())] }).compile();
  app = module.createNestApplication({ logger: false });
  await app.init();
  document = await apiDocument(app);
  routes = routesOf(app);
});

afterAll(async () => {
  await app.close();
  space.remove();
});

/** What Express would really answer to. */
function routesOf(application: INestApplication): [string, string][] {
  interface Layer {
    route?: { path: string; methods: Record<string, boolean> };
  }
  const { router } = application.getHttpAdapter().getInstance() as { router: { stack: Layer[] } };
  return router.stack.flatMap(({ route }) =>
    route === undefined
      ? []
      : Object.keys(route.methods).map((method): [string, string] => [
          method,
          route.path.replaceAll(/:(\w+)/g, '{$1}'),
        ]),
  );
}

describe('the OpenAPI document', () => {
  it('has every route that the application answers to, and no other', () => {
    const described = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method} ${path}`),
    );
    expect(routes.length).toBeGreaterThan(15);
    expect(described.sort()).toEqual(routes.map(([method, path]) => `${method} ${path}`).sort());
  });

  it('has every property of every class, with its type', () => {
    const schemas = document.components?.schemas as Record<string, Schema>;
    for (const [name, properties] of Object.entries(contractsMetadata())) {
      const expected = Object.keys(properties);
      if (name.endsWith('Params')) continue;
      const schema = schemas[name];
      if (schema === undefined) {
        // A request of a question has no body: its properties are parameters.
        expect(parametersAnywhere(), name).toEqual(expect.arrayContaining(expected));
        continue;
      }
      expect(Object.keys(schema.properties ?? {}), name).toEqual(expect.arrayContaining(expected));
      for (const property of expected) {
        const described = schema.properties?.[property] ?? {};
        const typed = ['type', '$ref', 'allOf', 'oneOf', 'enum'].some((key) => key in described);
        expect(typed || property === 'result', `${name}.${property}`).toBe(true);
      }
    }
  });

  function parametersAnywhere(): string[] {
    return Object.values(document.paths).flatMap((item) =>
      Object.values(item as Record<string, { parameters?: { name: string }[] }>).flatMap((operation) =>
        (operation.parameters ?? []).map((parameter) => parameter.name),
      ),
    );
  }

  it('resolves every reference', () => {
    const text = JSON.stringify(document);
    const references = new Set([...text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map((match) => match[1]));
    const known = Object.keys(document.components?.schemas ?? {});
    expect(known).toEqual(expect.arrayContaining([...references]));
  });

  it('tells descriptions, examples, defaults and what may be left out', () => {
    const create = document.paths['/api/v2/backup/create']?.post;
    const parameters = create?.parameters as {
      name: string;
      required: boolean;
      description?: string;
      schema: object;
    }[];
    expect(parameters.find(({ name }) => name === 'wait')).toMatchObject({
      required: false,
      description: expect.stringContaining('202') as string,
      schema: { type: 'boolean', default: true },
    });
    expect(create?.responses).toMatchObject({ '201': {}, '202': {}, '4XX': {}, '5XX': {} });
    const backup = document.components?.schemas?.['Backup'] as Schema;
    expect(backup.properties?.['components']).toMatchObject({
      type: 'object',
      additionalProperties: { $ref: '#/components/schemas/BackupComponent' },
    });
    expect(backup.properties?.['name']).toHaveProperty('example');
  });

  it('every operation says what it does', () => {
    for (const [path, item] of Object.entries(document.paths)) {
      for (const operation of Object.values(item as Record<string, { summary?: string; tags?: string[] }>)) {
        expect(operation.summary, path).toBeTruthy();
        expect(operation.tags, path).toHaveLength(1);
      }
    }
  });
});

it('contracts-metadata.ts is what the sources of the contracts give (else: node libs/backup-nest/tools/contracts-metadata.mjs)', async () => {
  expect(readFileSync(TARGET, 'utf8')).toBe(await generate());
});
