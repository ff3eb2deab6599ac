import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsInt,
  IsISO8601,
  IsNumber,
  IsOptional,
  IsPositive,
  IsString,
  Length,
  Max,
  MaxLength,
  Min,
  ValidateNested,
} from 'class-validator';

export class CreateReceiptItem {
  @IsInt()
  @Min(1)
  productId!: number;

  @IsNumber({ maxDecimalPlaces: 3 })
  @IsPositive()
  @Max(10_000)
  quantity!: number;

  /** In grosz; the product's own price when it is left out. */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(100_000_000)
  unitPriceGrosz?: number;

  /** A date, like 2025-02-28. */
  @IsOptional()
  @IsISO8601({ strict: true })
  bestBefore?: string;

  @IsString()
  @Length(1, 100)
  storagePlace!: string;

  @IsOptional()
  @IsString()
  @MaxLength(1000)
  note?: string;
}

export class CreateReceipt {
  @IsInt()
  @Min(1)
  userId!: number;

  @IsString()
  @Length(1, 200)
  storeName!: string;

  @IsString()
  @Length(1, 300)
  storeAddress!: string;

  @IsISO8601({ strict: true })
  purchasedAt!: string;

  @IsString()
  @Length(1, 50)
  paymentMethod!: string;

  @IsOptional()
  @IsString()
  @MaxLength(1000)
  note?: string;

  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(500)
  @ValidateNested({ each: true })
  @Type(() => CreateReceiptItem)
  items!: CreateReceiptItem[];
}
