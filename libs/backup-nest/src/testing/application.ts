import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { INestApplication } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { BackupModule } from '../backup.module.ts';
import type { BackupModuleOptions } from '../core/options.ts';
import { ProblemFilter } from '../http/problem.filter.ts';

export interface Answer {
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  text: string;
  /** The body, as what the test says that it is. */
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- a cast with fewer brackets, in tests
  json: <T = Record<string, unknown>>() => T;
}

export interface Ask {
  body?: unknown;
  headers?: Record<string, string>;
}

/** An application that imports BackupModule, listening on a free port of the loopback. */
export class TestApplication {
  readonly app: INestApplication;
  readonly port: number;

  private constructor(app: INestApplication, port: number) {
    this.app = app;
    this.port = port;
  }

  static async start(options: BackupModuleOptions): Promise<TestApplication> {
    const module = await Test.createTestingModule({ imports: [BackupModule.forRoot(options)] }).compile();
    const app = module.createNestApplication({ logger: false, forceCloseConnections: true });
    app.useGlobalFilters(new ProblemFilter(app.get(HttpAdapterHost)));
    await app.listen(0, '127.0.0.1');
    const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
    return new TestApplication(app, port);
  }

  /** `ask('POST', '/create?verify=true')`: paths with one slash are below the API. Any header can be sent, `Host` too. */
  ask(method: string, path: string, { body, headers = {} }: Ask = {}): Promise<Answer> {
    const payload = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    const type = payload === undefined ? {} : { 'content-type': 'application/json' };
    return new Promise((resolve, reject) => {
      const sent = httpRequest(
        {
          host: '127.0.0.1',
          port: this.port,
          method,
          path: path.startsWith('//') ? path.slice(1) : `/api/v2/backup${path}`,
          headers: { ...type, ...headers },
          agent: false,
        },
        (response) => {
          const pieces: Buffer[] = [];
          response.on('data', (piece: Buffer) => pieces.push(piece));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(pieces).toString('utf8');
            const { statusCode: status = 0, headers: received } = response;
            resolve({ status, headers: received, text, json: () => JSON.parse(text) as never });
          });
        },
      );
      sent.on('error', reject);
      sent.end(payload);
    });
  }

  close(): Promise<void> {
    return this.app.close();
  }
}
