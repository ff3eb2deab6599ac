import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Repository } from 'typeorm';
import { Product } from './product.entity.ts';

@Injectable()
export class ProductsService {
  readonly #products: Repository<Product>;

  constructor(@InjectRepository(Product) products: Repository<Product>) {
    this.#products = products;
  }

  find(text: string | undefined, limit: number): Promise<Product[]> {
    const query = this.#products
      .createQueryBuilder('product')
      .orderBy('product.name')
      .addOrderBy('product.id')
      .limit(limit);
    if (text !== undefined && text !== '') {
      const pattern = `%${text.replaceAll(/[\\%_]/g, (special) => `\\${special}`)}%`;
      query.where("product.name LIKE :pattern ESCAPE '\\'", { pattern });
    }
    return query.getMany();
  }
}
