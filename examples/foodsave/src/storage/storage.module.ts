import { Global, Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { WriteLock } from './write-lock.ts';

/** The SQLite database, and the lock that every write goes through. */
@Global()
@Module({})
export class StorageModule {
  static forFile(database: string): DynamicModule {
    return {
      module: StorageModule,
      imports: [
        TypeOrmModule.forRoot({
          type: 'better-sqlite3',
          database,
          fileMustExist: true,
          enableWAL: true,
          timeout: 10_000,
          autoLoadEntities: true,
          synchronize: false,
          retryAttempts: 0,
        }),
      ],
      providers: [WriteLock],
      exports: [WriteLock],
    };
  }
}
