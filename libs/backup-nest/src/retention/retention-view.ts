import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { DeletedBackup, ErrorInfo, KeptBackup } from '@foodsave-backup/contracts';

/** How many of each tier are kept; 0 turns a tier off. */
export class RetentionTiers {
  @ApiProperty({ example: 7 })
  daily!: number;

  @ApiProperty({ example: 4 })
  weekly!: number;

  @ApiProperty({ example: 12 })
  monthly!: number;
}

/** What a cleanup would do now. */
export class RetentionPlanView {
  @ApiProperty({ type: [KeptBackup] })
  kept!: KeptBackup[];

  @ApiProperty({ type: [DeletedBackup] })
  deleted!: DeletedBackup[];

  @ApiProperty({ description: 'Bytes that would be freed', example: 5558145 })
  freedBytes!: number;

  @ApiPropertyOptional({ description: 'Why nothing would be deleted although something could be' })
  blocked?: string;
}

/** `GET /retention`. */
export class RetentionView {
  @ApiProperty({ type: RetentionTiers })
  policy!: RetentionTiers;

  @ApiProperty({ description: 'IANA time zone in which days, weeks and months are counted', example: 'Europe/Warsaw' })
  timezone!: string;

  @ApiProperty({
    description: 'Keys of `policy` that the environment decides: backup.yaml has no say in them',
    type: [String],
    example: ['daily'],
  })
  overriddenByEnv!: string[];

  @ApiPropertyOptional({ description: 'What a cleanup would do now', type: RetentionPlanView })
  plan?: RetentionPlanView;

  @ApiPropertyOptional({
    description: 'Why there is no plan: no backup yet, or a run that changes the repository',
    type: ErrorInfo,
  })
  planError?: ErrorInfo;
}
