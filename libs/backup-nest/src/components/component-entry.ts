import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { ErrorInfo } from '@foodsave-backup/contracts';

/** One configured component, as it is now. */
export class ComponentEntry {
  @ApiProperty({ description: 'Instance', example: 'database:main' })
  instance!: string;

  @ApiProperty({ description: 'Kind of component', example: 'database' })
  type!: string;

  @ApiProperty({ description: 'What reads and writes it', example: 'sqlite' })
  driver!: string;

  @ApiProperty({ description: '`down`: a backup made now would not contain it', enum: ['up', 'down'], example: 'up' })
  status!: 'up' | 'down';

  @ApiPropertyOptional({ description: 'What was found', example: 'WAL mode, 14 tables' })
  summary?: string;

  @ApiPropertyOptional({ description: 'Estimated bytes', example: 2461696 })
  bytes?: number;

  @ApiPropertyOptional({ description: 'Estimated files, folders and links', example: 1 })
  entries?: number;

  @ApiProperty({
    description: 'What of its configuration says where it lies and what belongs to it; never a secret',
    type: 'object',
    additionalProperties: true,
    example: { path: './data/foodsave.db' },
  })
  settings!: Record<string, unknown>;

  @ApiPropertyOptional({ description: 'Why it is down', type: ErrorInfo })
  error?: ErrorInfo;
}

/** Every configured component. */
export class ComponentList {
  @ApiProperty({ type: [ComponentEntry], description: 'In the order of the configuration' })
  items!: ComponentEntry[];
}
