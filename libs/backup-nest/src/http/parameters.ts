import { createParamDecorator } from '@nestjs/common';
import type { CanActivate, ExecutionContext } from '@nestjs/common';
import { BackupError } from '@foodsave-backup/kernel';
import { BackupNameParams, RunIdParams, validateRequest } from '@foodsave-backup/contracts';
import { header } from './messages.ts';
import type { HttpRequest } from './messages.ts';

type RequestClass = new () => object;

function requestOf(context: ExecutionContext): HttpRequest {
  return context.switchToHttp().getRequest<HttpRequest>();
}

/** The parameters of a request, from its query and its JSON body, as a checked instance of the class that is given. */
export const Parameters = createParamDecorator((cls: RequestClass, context: ExecutionContext): object => {
  const request = requestOf(context);
  return validateRequest(cls, request.query, bodyOf(request));
});

/** The checked name of the backup that the address names. Throws NAME_INVALID. */
export const BackupName = createParamDecorator(
  (_: unknown, context: ExecutionContext): string =>
    validateRequest(BackupNameParams, { name: requestOf(context).params?.['name'] }).name,
);

/** The checked id of the run that the address names. */
export const RunId = createParamDecorator(
  (_: unknown, context: ExecutionContext): string =>
    validateRequest(RunIdParams, { id: requestOf(context).params?.['id'] }).id,
);

/** The `Idempotency-Key` header, if there is one. */
export const IdempotencyKey = createParamDecorator((_: unknown, context: ExecutionContext): string | undefined => {
  const key = header(requestOf(context), 'idempotency-key');
  if (key === undefined || /^[\x21-\x7e]{1,255}$/.test(key)) return key;
  throw new BackupError('VALIDATION_FAILED', 'Idempotency-Key must be 1 to 255 visible ASCII characters', {
    hint: 'For example Idempotency-Key: 9b2c6f3e-deploy-42',
  });
});

/** Refuses parameters where a request takes none: a parameter that does nothing would be believed. */
export const noParameters: CanActivate = {
  canActivate(context): boolean {
    const request = requestOf(context);
    const given = [request.query, bodyOf(request)].flatMap((source) =>
      typeof source === 'object' && source !== null ? Object.keys(source) : [],
    );
    if (given.length === 0) return true;
    throw new BackupError('VALIDATION_FAILED', 'This request takes no parameters', {
      hint: 'Leave them out; /api/docs lists what each request takes.',
      details: { errors: given.slice(0, 20).map((parameter) => ({ parameter, reason: 'is not a parameter here' })) },
    });
  },
};

/** The parsed body. A body in another format would be passed over in silence: it is refused. */
function bodyOf(request: HttpRequest): unknown {
  const length = Number(header(request, 'content-length') ?? '0');
  if (length === 0 && header(request, 'transfer-encoding') === undefined) return undefined;
  const type = header(request, 'content-type') ?? '';
  if (/^application\/json\s*(;|$)/i.test(type)) return request.body;
  throw new BackupError('VALIDATION_FAILED', 'The body of the request is not declared as JSON', {
    hint: 'Send Content-Type: application/json, or put the parameters into the query.',
  });
}
