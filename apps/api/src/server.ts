import {
  BackupModule,
  createGatekeeper,
  ProblemFilter,
  securityHeaders,
  setupApiDocs,
} from '@foodsave-backup/backup-nest';
import type { BackupModuleOptions } from '@foodsave-backup/backup-nest';
import { Controller, Get, Module, Redirect } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { HttpAdapterHost, NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { ApiExcludeController } from '@nestjs/swagger';
import type { Logger } from 'pino';
import { NestLogger } from './logging/nest-logger.ts';
import { logRequests } from './logging/requests.ts';
import { serveWeb } from './web.ts';

const BODY_MAX = '1mb';

/** `/` leads to the page. */
@Controller()
@ApiExcludeController()
class RootController {
  @Get()
  @Redirect('/backup', 302)
  root(): void {}
}

@Module({})
class ServerModule {
  static register(options: BackupModuleOptions): DynamicModule {
    return { module: ServerModule, imports: [BackupModule.forRoot(options)], controllers: [RootController] };
  }
}

export interface ServerOptions extends BackupModuleOptions {
  logger: Logger;
}

/** The whole application, ready to listen. */
export async function createServer(options: ServerOptions): Promise<NestExpressApplication> {
  const { logger, config } = options;
  const app = await NestFactory.create<NestExpressApplication>(ServerModule.register(options), {
    logger: new NestLogger(logger),
    bodyParser: false,
    // Streams of events would keep the server from ever closing.
    forceCloseConnections: true,
    abortOnError: false,
  });
  // An upload may take hours. What an endless one could do is bounded where it is taken; headers keep their own limit.
  // docs/archives.md tells others to set it.
  app.getHttpServer().requestTimeout = 0;
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(logRequests(logger), securityHeaders, createGatekeeper(config.server.allowedHosts));
  app.useBodyParser('json', { limit: BODY_MAX });
  app.useGlobalFilters(new ProblemFilter(app.get(HttpAdapterHost)));
  serveWeb(app);
  await setupApiDocs(app);
  return app;
}
