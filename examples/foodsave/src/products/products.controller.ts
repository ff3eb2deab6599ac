import { Controller, Get, Query } from '@nestjs/common';
import type { Product } from './product.entity.ts';
import { ProductQuery } from './product.query.ts';
import { ProductsService } from './products.service.ts';

@Controller('products')
export class ProductsController {
  readonly #products: ProductsService;

  constructor(products: ProductsService) {
    this.#products = products;
  }

  @Get()
  find(@Query() query: ProductQuery): Promise<Product[]> {
    return this.#products.find(query.q, query.limit);
  }
}
