import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { In, Repository } from 'typeorm';
import { Recipe } from './recipe.entity.ts';

const RESULTS = 20;

@Injectable()
export class RecipesService {
  readonly #recipes: Repository<Recipe>;

  constructor(@InjectRepository(Recipe) recipes: Repository<Recipe>) {
    this.#recipes = recipes;
  }

  /** Recipes that hold every word, the best match first. */
  async search(text: string): Promise<Recipe[]> {
    // Quoted, so that what a person types is never read as the query language of FTS5.
    const words = text.match(/[\p{L}\p{N}]+/gu) ?? [];
    if (words.length === 0) return [];
    const found: { id: number }[] = await this.#recipes.query(
      'SELECT rowid AS id FROM recipes_fts WHERE recipes_fts MATCH ? ORDER BY rank LIMIT ?',
      [words.map((word) => `"${word}"*`).join(' '), RESULTS],
    );
    const ids = found.map((row) => row.id);
    const recipes = new Map((await this.#recipes.findBy({ id: In(ids) })).map((recipe) => [recipe.id, recipe]));
    return ids.flatMap((id) => recipes.get(id) ?? []);
  }
}
