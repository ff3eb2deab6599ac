import { ApiPropertyOptional, PickType } from '@nestjs/swagger';
import { TreeRequest } from '@foodsave-backup/contracts';
import { IsOptional, Matches } from 'class-validator';

/** `GET /backups/{name}/tree`: a directory, of all components or of one. */
export class DirectoryRequest extends PickType(TreeRequest, ['path']) {
  @ApiPropertyOptional({
    description: 'Only what belongs to this kind or instance.',
    example: 'files:main',
  })
  @IsOptional()
  @Matches(/^[a-z][a-z0-9_]{0,31}(:[a-z0-9][a-z0-9_-]{0,31})?$/, {
    message: 'must be a kind or an instance of a component',
    context: { example: 'files:main' },
  })
  component?: string;
}
