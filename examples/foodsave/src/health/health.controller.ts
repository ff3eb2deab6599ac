import { Controller, Get } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { TABLES } from '../sample/schema.ts';

@Controller('health')
export class HealthController {
  readonly #dataSource: DataSource;

  constructor(dataSource: DataSource) {
    this.#dataSource = dataSource;
  }

  /** `{ status: 'ok', rows: { receipts: 700, … } }`: what is compared before and after a restore. */
  @Get()
  async health(): Promise<{ status: 'ok'; rows: Record<string, number> }> {
    const counts = TABLES.map((table) => `(SELECT count(*) FROM ${table}) AS ${table}`).join(', ');
    const [rows]: Record<string, number>[] = await this.#dataSource.query(`SELECT ${counts}`);
    return { status: 'ok', rows: rows ?? {} };
  }
}
