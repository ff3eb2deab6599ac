import { readFileSync } from 'node:fs';
import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import type { OpenAPIObject } from '@nestjs/swagger';
import * as contracts from '@foodsave-backup/contracts';
import { contractsMetadata } from './generated/contracts-metadata.ts';

const UI = 'api/docs';
const JSON_DOCUMENT = 'api/docs-json';

const ABOUT = `Backups of SQLite databases, files, configuration and vector stores.

Commands (\`POST\`, \`DELETE\`) become runs. They answer when the run has ended, or with \`wait=false\` at once. A run goes on when
the client goes away. Parameters are given in the query or, under the same names, in a JSON body. Errors are problem details
(RFC 9457) with a stable \`code\` and a \`hint\`.`;

/** The OpenAPI document of the API in an application. */
export async function apiDocument(app: INestApplication): Promise<OpenAPIObject> {
  const metadata = contractsMetadata();
  await SwaggerModule.loadPluginMetadata(async () => ({
    '@nestjs/swagger': { models: [[Promise.resolve(contracts), metadata]] },
  }));
  const config = new DocumentBuilder()
    .setTitle('FoodSave Backup')
    .setDescription(ABOUT)
    .setVersion(ownVersion())
    .build();
  // The classes that answers are made of, also those that only records refer to; requests show as parameters.
  const responses = Object.values(contracts).filter(
    (value): value is new () => object =>
      typeof value === 'function' && Object.hasOwn(metadata, value.name) && !/(Request|Params)$/.test(value.name),
  );
  return SwaggerModule.createDocument(app, config, {
    extraModels: responses,
    operationIdFactory: (controller, method) => `${controller.replace(/Controller$/, '')}.${method}`,
  });
}

/** Serves the document at `/api/docs` (for people) and `/api/docs-json`. Call it before the application listens. */
export async function setupApiDocs(app: INestApplication): Promise<OpenAPIObject> {
  const document = await apiDocument(app);
  SwaggerModule.setup(UI, app, document, {
    jsonDocumentUrl: JSON_DOCUMENT,
    raw: ['json'],
    customSiteTitle: 'FoodSave Backup API',
  });
  return document;
}

function ownVersion(): string {
  const json: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return (json as { version: string }).version;
}
