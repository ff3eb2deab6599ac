import { Injectable, Module } from '@nestjs/common';
import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { BackupError } from '@foodsave-backup/kernel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  BackupHealth,
  BackupModule,
  BackupService,
  ComponentRegistry,
  DatabaseBackup,
  RetentionService,
} from './index.ts';
import type { BackupModuleOptions } from './index.ts';
import { Workspace } from './testing/workspace.ts';

let space: Workspace;
let app: INestApplication | undefined;

beforeEach(() => {
  space = new Workspace();
});

afterEach(async () => {
  await app?.close();
  space.remove();
});

@Injectable()
class Deployment {
  readonly #backup: BackupService;

  constructor(backup: BackupService) {
    this.#backup = backup;
  }

  async before(): Promise<unknown> {
    const run = this.#backup.submit(
      { command: 'create', name: 'before-deploy', trigger: 'deploy' },
      { actor: 'deploy' },
    );
    return this.#backup.resultOf(run);
  }
}

async function start(imports: Parameters<typeof Test.createTestingModule>[0]['imports']): Promise<INestApplication> {
  const module = await Test.createTestingModule({ imports: imports ?? [], providers: [Deployment] }).compile();
  app = module.createNestApplication({ logger: false });
  await app.init();
  return app;
}

describe('in an application', () => {
  it('providers take backups before they do something dangerous', async () => {
    const host = await start([BackupModule.forRoot(await space.options())]);
    expect(await host.get(Deployment).before()).toMatchObject({
      backup: { name: 'before-deploy', status: 'complete', trigger: 'deploy' },
    });
    expect((await host.get(BackupService, { strict: false }).engine.list()).total).toBe(1);
    await expect(host.get(Deployment).before()).rejects.toMatchObject({ code: 'NAME_TAKEN' });
  });

  it('the options can come from providers of the application', async () => {
    const options = await space.options();
    const TOKEN = Symbol('options');
    @Module({ providers: [{ provide: TOKEN, useValue: options }], exports: [TOKEN] })
    class Settings {}
    const host = await start([
      BackupModule.forRootAsync({
        imports: [Settings],
        inject: [TOKEN],
        useFactory: (given: BackupModuleOptions) => given,
      }),
    ]);
    expect(await host.get(Deployment).before()).toMatchObject({ backup: { status: 'complete' } });
  });

  it('all features share one engine and one queue', async () => {
    const host = await start([BackupModule.forRoot(await space.options())]);
    const registry = host.get(ComponentRegistry, { strict: false });
    expect([...registry.types].sort()).toEqual(['config', 'database', 'files', 'vector_store']);
    expect((await host.get(DatabaseBackup, { strict: false }).entries()).map((entry) => entry.instance)).toEqual([
      'database:main',
    ]);
    await host.get(Deployment).before();
    expect((await host.get(RetentionService, { strict: false }).view()).plan?.kept).toHaveLength(1);
  });

  it('health indicators fit into a check of the application, and an engine that breaks is one of them', async () => {
    const host = await start([BackupModule.forRoot(await space.options())]);
    const health = host.get(BackupHealth, { strict: false });
    expect(await health.check()).toMatchObject({ status: 'ok' });
    const { engine } = host.get(BackupService, { strict: false });
    engine.health = () => Promise.reject(new BackupError('IO_ERROR', 'The disk is gone', { hint: 'Look for it.' }));
    await expect(health.check()).rejects.toMatchObject({
      response: {
        status: 'error',
        error: { engine: { status: 'down', code: 'IO_ERROR', message: 'The disk is gone' } },
      },
    });
  });
});
