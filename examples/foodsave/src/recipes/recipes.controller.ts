import { Controller, Get, Query } from '@nestjs/common';
import type { Recipe } from './recipe.entity.ts';
import { RecipeQuery } from './recipe.query.ts';
import { RecipesService } from './recipes.service.ts';

@Controller('recipes')
export class RecipesController {
  readonly #recipes: RecipesService;

  constructor(recipes: RecipesService) {
    this.#recipes = recipes;
  }

  @Get('search')
  search(@Query() query: RecipeQuery): Promise<Recipe[]> {
    return this.#recipes.search(query.q);
  }
}
