/**
 * What this library uses of class-validator and class-transformer. Built, it holds them (tools/scripts/bundle-validation.mjs): as they are installed they
 * are 350 files, which a command would read before it does anything.
 */
export {
  ArrayMaxSize,
  ArrayNotEmpty,
  getMetadataStorage,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  isIP,
  IsOptional,
  IsString,
  Matches,
  Max,
  MaxLength,
  Min,
  ValidateBy,
  ValidateIf,
  validateSync,
  type ValidationArguments,
  type ValidationOptions,
} from 'class-validator';
export { plainToInstance, Transform, type ClassConstructor } from 'class-transformer';
