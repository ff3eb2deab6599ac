import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

@Entity({ name: 'products' })
export class Product {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('text', { unique: true })
  sku!: string;

  @Column('text')
  name!: string;

  @Column('text')
  brand!: string;

  @Column('text')
  category!: string;

  @Column('text')
  unit!: string;

  @Column('integer', { name: 'price_grosz' })
  priceGrosz!: number;

  @Column('integer', { name: 'vat_percent' })
  vatPercent!: number;

  @Column('integer')
  stock!: number;

  @Column('text')
  barcode!: string;

  @Column('text')
  description!: string;

  @Column('text', { name: 'updated_at' })
  updatedAt!: string;
}
