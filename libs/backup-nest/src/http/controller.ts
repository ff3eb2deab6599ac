import { applyDecorators, Controller, UseFilters } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { ProblemFilter } from './problem.filter.ts';

/** Where the API lives. */
export const API = 'api/v2/backup';

/** A controller of the API. Its errors are problem documents, whatever filters the application has. */
export function BackupController(tag: string): ClassDecorator {
  return applyDecorators(Controller(API), UseFilters(ProblemFilter), ApiTags(tag));
}

/** Address of a run. */
export function runAddress(id: string): string {
  return `/${API}/runs/${id}`;
}
