import {
  ArrayMaxSize,
  ArrayNotEmpty,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsOptional,
  Matches,
  Max,
  Min,
} from '../validation.ts';
import { COMPONENT_SELECTOR, IsBackupName, LAYOUT_PATH, ToBoolean, ToInteger, ToList, says } from './rules.ts';

const flag = says('must be true or false', 'true');
const selector = says('must name components: kinds or instances, separated by commas', 'database,files:uploads');
const page = says('must be a whole number from 1 to 500', '50');
const cursor = says('must be the nextCursor of the page before', 'the nextCursor of the last answer');
const layoutPath = says('must be a path inside the backup: relative, with slashes, without ".."', 'data/foodsave.db');
const runId = says('must be the id of a run: 26 lower-case letters and digits', '01k9z3s5e8m0v6qv7c2d4f8g1h');

const CURSOR = /^[A-Za-z0-9._~:-]{1,512}$/;
const RUN_ID = /^[0-9a-hjkmnp-tv-z]{26}$/;

/** The backup that an address names. */
export class BackupNameParams {
  /**
   * Name of the backup.
   * @example 'pre_deployment_backup'
   */
  @IsBackupName()
  name!: string;
}

/** `POST /create`. */
export class CreateRequest {
  /**
   * Name of the new backup; absent: `full_backup_YYYYMMDD_HHMMSS`.
   * @example 'pre_deployment_backup'
   */
  @IsOptional()
  @IsBackupName()
  backup_name?: string;

  /**
   * Whether the new data is read back and checked; absent: as configured.
   * @example true
   */
  @IsOptional()
  @ToBoolean()
  @IsBoolean(flag)
  verify?: boolean;

  /**
   * Kinds (`database`) or instances (`database:main`), comma-separated or a list; absent: all.
   * @example ['database', 'files']
   */
  @IsOptional()
  @ToList()
  @IsArray(selector)
  @ArrayNotEmpty(selector)
  @ArrayMaxSize(100, selector)
  @Matches(COMPONENT_SELECTOR, { each: true, ...selector })
  components?: string[];

  /**
   * `false`: answer 202 at once, with the address of the run.
   * @example false
   */
  @ToBoolean()
  @IsBoolean(flag)
  wait: boolean = true;
}

/** `GET /list`. */
export class ListRequest {
  /**
   * Backups a page, 1 to 500.
   * @example 50
   */
  @ToInteger()
  @IsInt(page)
  @Min(1, page)
  @Max(500, page)
  limit: number = 50;

  /** `nextCursor` of the page before; absent: the newest backups. */
  @IsOptional()
  @Matches(CURSOR, cursor)
  cursor?: string;

  /**
   * Only backups of this status.
   * @example 'complete'
   */
  @IsOptional()
  @IsIn(['complete', 'partial', 'damaged'], says('must be complete, partial or damaged', 'complete'))
  status?: 'complete' | 'partial' | 'damaged';

  /**
   * Only backups that contain this kind or instance.
   * @example 'database'
   */
  @IsOptional()
  @Matches(COMPONENT_SELECTOR, says('must be a kind or an instance of a component', 'database:main'))
  component?: string;

  /**
   * Only backups whose name or one of whose tags contains this text, without regard to case.
   * @example 'deploy'
   */
  @IsOptional()
  @Matches(/^[^\p{Cc}]{1,100}$/u, says('must be a text of 1 to 100 characters', 'deploy'))
  q?: string;
}

/** `POST /restore/{name}`. */
export class RestoreRequest {
  /**
   * Kinds (`database`) or instances (`database:main`), comma-separated or a list; absent: all of the backup.
   * @example ['database', 'files']
   */
  @IsOptional()
  @ToList()
  @IsArray(selector)
  @ArrayNotEmpty(selector)
  @ArrayMaxSize(100, selector)
  @Matches(COMPONENT_SELECTOR, { each: true, ...selector })
  components?: string[];

  /**
   * Directory on the server to restore into; absent: in place, replacing the live data.
   * @example '/srv/restored'
   */
  @IsOptional()
  @Matches(/^[^\p{Cc}]{1,4096}$/u, says('must be a directory on the server', '/srv/restored'))
  target?: string;

  /**
   * Only what lies at or below this path of the backup.
   * @example 'data/uploads/2026'
   */
  @IsOptional()
  @Matches(LAYOUT_PATH, layoutPath)
  path?: string;

  /**
   * `true`: report what would change, change nothing.
   * @example true
   */
  @ToBoolean()
  @IsBoolean(flag)
  dry_run: boolean = false;

  /**
   * `false`: answer 202 at once, with the address of the run.
   * @example false
   */
  @ToBoolean()
  @IsBoolean(flag)
  wait: boolean = true;
}

/** `POST /verify/{name}`. */
export class VerifyRequest {
  /**
   * `quick`: manifest, presence and sizes. `full`: every byte, and databases and vector stores opened.
   * @example 'full'
   */
  @IsIn(['quick', 'full'], says('must be quick or full', 'full'))
  level: 'quick' | 'full' = 'full';

  /**
   * `false`: answer 202 at once, with the address of the run.
   * @example false
   */
  @ToBoolean()
  @IsBoolean(flag)
  wait: boolean = true;
}

/** `DELETE /cleanup`. */
export class CleanupRequest {
  /**
   * `true`: report what would be deleted and kept, delete nothing.
   * @example true
   */
  @ToBoolean()
  @IsBoolean(flag)
  dry_run: boolean = false;
}

/** `POST /undo`. */
export class UndoRequest {
  /**
   * `true`: report what would change, change nothing.
   * @example true
   */
  @ToBoolean()
  @IsBoolean(flag)
  dry_run: boolean = false;

  /**
   * `false`: answer 202 at once, with the address of the run.
   * @example false
   */
  @ToBoolean()
  @IsBoolean(flag)
  wait: boolean = true;
}

/** `POST /check`. */
export class CheckRequest {
  /**
   * `true`: read every pack instead of looking at presence and sizes.
   * @example false
   */
  @ToBoolean()
  @IsBoolean(flag)
  read_data: boolean = false;

  /**
   * `false`: answer 202 at once, with the address of the run.
   * @example false
   */
  @ToBoolean()
  @IsBoolean(flag)
  wait: boolean = true;
}

/** `GET /backups/{name}/tree`. */
export class TreeRequest {
  /**
   * Folder of the backup whose entries are listed; absent: the top.
   * @example 'data/uploads'
   */
  @IsOptional()
  @Matches(LAYOUT_PATH, layoutPath)
  path?: string;

  /**
   * Only what belongs to this kind or instance.
   * @example 'files:main'
   */
  @IsOptional()
  @Matches(COMPONENT_SELECTOR, says('must be a kind or an instance of a component', 'files:main'))
  component?: string;
}

/** `GET /backups/{name}/download`. */
export class DownloadRequest {
  /**
   * `file`: the one file that `path` names, as it is. The archives are not encrypted.
   * @example 'tar.gz'
   */
  @IsIn(['zip', 'tar.gz', 'file'], says('must be zip, tar.gz or file', 'zip'))
  format: 'zip' | 'tar.gz' | 'file' = 'zip';

  /**
   * Only these: kinds or instances of components.
   * @example ['database', 'files:main']
   */
  @IsOptional()
  @ToList()
  @IsArray(selector)
  @ArrayNotEmpty(selector)
  @ArrayMaxSize(100, selector)
  @Matches(COMPONENT_SELECTOR, { each: true, ...selector })
  components?: string[];

  /**
   * Only what lies at or below this path of the backup.
   * @example 'data/uploads'
   */
  @IsOptional()
  @Matches(LAYOUT_PATH, layoutPath)
  path?: string;
}

/** `POST /import`: the archive itself is the body. */
export class ImportRequest {
  /** Name of the backup; absent: as the archive calls it. */
  @IsOptional()
  @IsBackupName()
  name?: string;

  /** Check the archive, import nothing. */
  @ToBoolean()
  @IsBoolean(flag)
  dry_run: boolean = false;

  /** `false`: answer 202 as soon as the archive has arrived, with the address of the run. */
  @ToBoolean()
  @IsBoolean(flag)
  wait: boolean = true;
}

/** `PUT /backups/{name}/hold`. */
export class HoldRequest {
  /**
   * Why it is held; absent: as before.
   * @example 'before the migration'
   */
  @IsOptional()
  @Matches(/^(?=.*\S)[^\p{Cc}]{1,500}$/u, says('must be one line of 1 to 500 characters', 'before the migration'))
  reason?: string;
}

/** `GET /runs`. */
export class RunListRequest {
  /**
   * Runs a page, 1 to 500.
   * @example 50
   */
  @ToInteger()
  @IsInt(page)
  @Min(1, page)
  @Max(500, page)
  limit: number = 50;

  /** `nextCursor` of the page before; absent: the newest runs. */
  @IsOptional()
  @Matches(CURSOR, cursor)
  cursor?: string;

  /**
   * Only runs of this status.
   * @example 'failed'
   */
  @IsOptional()
  @IsIn(
    ['queued', 'running', 'succeeded', 'partial', 'failed', 'cancelled', 'interrupted'],
    says('must be queued, running, succeeded, partial, failed, cancelled or interrupted', 'failed'),
  )
  status?: 'queued' | 'running' | 'succeeded' | 'partial' | 'failed' | 'cancelled' | 'interrupted';
}

/** The run that an address names. */
export class RunIdParams {
  /**
   * Id of the run.
   * @example '01k9z3s5e8m0v6qv7c2d4f8g1h'
   */
  @Matches(RUN_ID, runId)
  id!: string;
}
