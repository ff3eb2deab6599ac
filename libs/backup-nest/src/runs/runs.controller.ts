import { Delete, Get, HttpCode, Req, Res, UseGuards } from '@nestjs/common';
import { Run, RunListRequest, RunPage } from '@foodsave-backup/contracts';
import { BackupError } from '@foodsave-backup/kernel';
import type { RunEvent } from '@foodsave-backup/kernel';
import { BackupService } from '../core/backup.service.ts';
import { BackupController } from '../http/controller.ts';
import { header } from '../http/messages.ts';
import type { HttpRequest, HttpResponse } from '../http/messages.ts';
import { noParameters, Parameters, RunId } from '../http/parameters.ts';
import { ApiEventStream, ApiQuestion, ApiRunId } from '../openapi/decorators.ts';
import { allEvents, parsePlace, placeOf } from './all-events.ts';
import { streamEvents } from './sse.ts';
import type { StreamEvent } from './sse.ts';

/** Runs: what was asked for, how far it is, how it ended. */
@BackupController('runs')
export class RunsController {
  readonly #backup: BackupService;

  constructor(backup: BackupService) {
    this.#backup = backup;
  }

  @Get('runs')
  @ApiQuestion({
    summary: 'List the runs of this server, newest first',
    description: 'Since its start, and at most the latest 500.',
    request: RunListRequest,
    result: RunPage,
  })
  list(@Parameters(RunListRequest) { limit, cursor, status }: RunListRequest): RunPage {
    const all = this.#backup.runs.list().filter((run) => status === undefined || run.status === status);
    const rest = cursor === undefined ? all : all.filter((run) => run.id < cursor);
    const items = rest.slice(0, limit);
    const last = items.at(-1);
    const more = last !== undefined && rest.length > items.length;
    return { items, total: all.length, ...(more ? { nextCursor: last.id } : {}) };
  }

  @Get('runs/:id')
  @UseGuards(noParameters)
  @ApiRunId()
  @ApiQuestion({ summary: 'One run', result: Run })
  show(@RunId() id: string): Run {
    return this.#backup.runs.get(id).view();
  }

  @Delete('runs/:id')
  @HttpCode(202)
  @UseGuards(noParameters)
  @ApiRunId()
  @ApiQuestion({
    summary: 'Cancel a run',
    description: 'It stops at the next safe place; nothing half done stays. 409 when it has ended already.',
    result: Run,
    status: 202,
  })
  cancel(@RunId() id: string): Run {
    const run = this.#backup.runs.get(id);
    run.cancel('as asked over the API');
    return run.view();
  }

  @Get('runs/:id/events')
  @UseGuards(noParameters)
  @ApiRunId()
  @ApiEventStream(
    'The events of one run',
    'From the first on, then as they come; ends after `run.finished`. The id of an event is its `seq`. 204 when there are ' +
      'none left after `Last-Event-ID`.',
  )
  async events(@RunId() id: string, @Req() request: HttpRequest, @Res() response: HttpResponse): Promise<void> {
    const run = this.#backup.runs.get(id);
    const after = lastSeq(request);
    if (after > 0 && run.done && !(await hasEventsAfter(run.events(after, AbortSignal.abort())))) {
      // A browser comes back after the end of a stream; this answer tells it to stay away.
      response.writeHead(204).end();
      return;
    }
    await streamEvents(request, response, this.#backup.closing, (signal) =>
      identified(run.events(after, signal), (event) => String(event.seq)),
    );
  }

  @Get('events')
  @UseGuards(noParameters)
  @ApiEventStream(
    'The events of all runs',
    'From now on, or from `Last-Event-ID`. The id of an event is `<run id>:<seq>`.',
  )
  async allEvents(@Req() request: HttpRequest, @Res() response: HttpResponse): Promise<void> {
    const after = parsePlace(header(request, 'last-event-id'));
    await streamEvents(request, response, this.#backup.closing, (signal) =>
      identified(allEvents(this.#backup.runs, after, signal), placeOf),
    );
  }
}

function lastSeq(request: HttpRequest): number {
  const text = header(request, 'last-event-id') ?? '0';
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new BackupError('VALIDATION_FAILED', 'Last-Event-ID is not the id of an event of this run', {
    hint: 'Leave it out to read from the first event.',
  });
}

async function hasEventsAfter(events: AsyncIterable<RunEvent>): Promise<boolean> {
  for await (const _event of events) return true;
  return false;
}

async function* identified(
  events: AsyncIterable<RunEvent>,
  idOf: (event: RunEvent) => string,
): AsyncGenerator<StreamEvent> {
  for await (const event of events) yield { id: idOf(event), data: event };
}
