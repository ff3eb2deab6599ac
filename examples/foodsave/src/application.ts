import 'reflect-metadata';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ValidationPipe } from '@nestjs/common';
import type { INestApplication, NestApplicationOptions } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DataSource } from 'typeorm';
import { AppModule } from './app.module.ts';
import { databasePath } from './sample/generate.ts';
import { SampleError } from './sample/options.ts';
import { SCHEMA_VERSION } from './sample/schema.ts';

const HOST = '127.0.0.1';

/** The directory of the sample, or its `data` directory. */
function findDatabase(directory: string): string {
  const found = [databasePath(directory), join(resolve(directory), 'foodsave.db')].find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new SampleError(
    `there is no data in ${resolve(directory)}`,
    `make some first: npm run sample -- ${JSON.stringify(resolve(directory))}`,
  );
}

/**
 * Starts the application over the data in `directory` and listens on 127.0.0.1; port 0 takes a free one.
 *
 * @throws SampleError when the data is missing or of another version, or the port is taken
 */
export async function startApplication(directory: string, port: number): Promise<INestApplication> {
  const database = findDatabase(directory);
  // Silent until it listens: what goes wrong before is thrown, and said once.
  const options: NestApplicationOptions = { abortOnError: false, forceCloseConnections: true, logger: false };
  const app = await NestFactory.create(AppModule.forDatabase(database), options);
  app.useGlobalPipes(new ValidationPipe({ transform: true, whitelist: true, forbidNonWhitelisted: true }));
  try {
    const [version]: { user_version: number }[] = await app.get(DataSource).query('PRAGMA user_version');
    if (version?.user_version !== SCHEMA_VERSION) {
      throw new SampleError(
        `${database} has schema version ${String(version?.user_version)}, this application needs ${String(SCHEMA_VERSION)}`,
        'make the sample again, in an empty directory',
      );
    }
    await app.listen(port, HOST);
    app.useLogger(['error', 'warn', 'fatal']);
    return app;
  } catch (error) {
    await app.close();
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
      throw new SampleError(
        `port ${String(port)} is in use already`,
        'choose another one with --port, or stop what uses it',
      );
    }
    throw error;
  }
}
