import { applyDecorators } from '@nestjs/common';
import type { Type } from '@nestjs/common';
import {
  ApiBody,
  ApiConsumes,
  ApiExtraModels,
  ApiHeader,
  ApiOperation,
  ApiParam,
  ApiQuery,
  ApiResponse,
  getSchemaPath,
} from '@nestjs/swagger';
import { Problem, Run } from '@foodsave-backup/contracts';

export interface Described {
  summary: string;
  description?: string;
  /** Parameters: in the query, or of a command in a JSON body too. */
  request?: Type;
  result: Type;
  /** Status of the answer; 200 unless said otherwise. */
  status?: number;
}

const problem = (status: string, description: string): MethodDecorator =>
  ApiResponse({
    status: status as '4XX' | '5XX',
    description,
    content: { 'application/problem+json': { schema: { $ref: getSchemaPath(Problem) } } },
  });

const problems = (): MethodDecorator =>
  applyDecorators(
    ApiExtraModels(Problem),
    problem('4XX', 'The request cannot be carried out as it is. `code` says why, `hint` what to do.'),
    problem('5XX', 'It failed here. `code` says why, `hint` what to do.'),
  );

/** A question: changes nothing, answers at once. */
export function ApiQuestion(described: Described): MethodDecorator {
  const { summary, description, request, result, status = 200 } = described;
  return applyDecorators(
    ApiOperation({ summary, ...(description === undefined ? {} : { description }) }),
    ...(request === undefined ? [] : [ApiQuery({ type: request })]),
    ApiResponse({ status, type: result, description: summary }),
    problems(),
  );
}

/** A small change that becomes no run: the same request again changes nothing. */
export function ApiChange(described: Described): MethodDecorator {
  return applyDecorators(ApiQuestion(described), ...bodyOf(described));
}

const bodyOf = ({ request }: Described): MethodDecorator[] =>
  request === undefined
    ? []
    : [ApiBody({ type: request, required: false, description: 'The same parameters as in the query.' })];

/** A command, which becomes a run. `waits`: whether the client can ask not to wait for its end. */
export function ApiCommand(described: Described & { waits: boolean }): MethodDecorator {
  const { waits } = described;
  return applyDecorators(
    ApiQuestion(described),
    ...bodyOf(described),
    ...(waits
      ? [ApiResponse({ status: 202, type: Run, description: '`wait=false`: the run. `Location` is its address.' })]
      : []),
    ApiHeader({
      name: 'Idempotency-Key',
      required: false,
      description: 'The same request sent twice with one key starts one run. 1 to 255 visible ASCII characters.',
      schema: { type: 'string', maxLength: 255, example: '9b2c6f3e-deploy-42' },
    }),
  );
}

/** An archive, or a file, as a stream of bytes. */
export function ApiDownload(summary: string, description: string, request: Type): MethodDecorator {
  const binary = { schema: { type: 'string', format: 'binary' } } as const;
  return applyDecorators(
    ApiOperation({ summary, description }),
    ApiQuery({ type: request }),
    ApiResponse({
      status: 200,
      description: 'The bytes. A connection that breaks means that they are not whole.',
      content: { 'application/zip': binary, 'application/gzip': binary, 'application/octet-stream': binary },
    }),
    problems(),
  );
}

/** A command whose body is an archive. */
export function ApiUpload(described: Described): MethodDecorator {
  const binary = { schema: { type: 'string', format: 'binary' } } as const;
  return applyDecorators(
    ApiQuestion(described),
    ApiConsumes('application/zip', 'application/gzip', 'application/octet-stream'),
    ApiBody({ required: true, description: 'The archive itself', ...binary }),
    ApiResponse({ status: 202, type: Run, description: '`wait=false`: the run. `Location` is its address.' }),
  );
}

/** `{name}` of an address. */
export function ApiBackupName(): MethodDecorator {
  return ApiParam({
    name: 'name',
    description: 'Name of the backup',
    schema: { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$', example: 'pre_deployment_backup' },
  });
}

/** `{id}` of an address. */
export function ApiRunId(): MethodDecorator {
  return ApiParam({
    name: 'id',
    description: 'Id of the run',
    schema: { type: 'string', pattern: '^[0-9a-hjkmnp-tv-z]{26}$', example: '01k9z3s5e8m0v6qv7c2d4f8g1h' },
  });
}

/** A stream of server-sent events. */
export function ApiEventStream(summary: string, description: string): MethodDecorator {
  return applyDecorators(
    ApiOperation({ summary, description }),
    ApiHeader({
      name: 'Last-Event-ID',
      required: false,
      description: 'Go on after this event.',
      schema: { type: 'string' },
    }),
    ApiResponse({
      status: 200,
      description: 'The events, each as one JSON document in `data:`',
      content: { 'text/event-stream': { schema: { type: 'string' } } },
    }),
    problems(),
  );
}
