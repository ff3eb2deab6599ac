import { IsString, Length } from 'class-validator';

export class RecipeQuery {
  /** Words; each may be the beginning of one. */
  @IsString()
  @Length(1, 200)
  q!: string;
}
