import { Column, Entity, JoinColumn, ManyToOne, PrimaryGeneratedColumn } from 'typeorm';
import type { Relation } from 'typeorm';
import { Product } from '../products/product.entity.ts';
import { Receipt } from './receipt.entity.ts';

@Entity({ name: 'receipt_items' })
export class ReceiptItem {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('integer', { name: 'receipt_id' })
  receiptId!: number;

  @ManyToOne(() => Receipt, (receipt) => receipt.items, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'receipt_id' })
  receipt!: Relation<Receipt>;

  @Column('integer', { name: 'product_id' })
  productId!: number;

  @ManyToOne(() => Product)
  @JoinColumn({ name: 'product_id' })
  product!: Relation<Product>;

  @Column('integer', { name: 'line_no' })
  lineNo!: number;

  @Column('text')
  name!: string;

  @Column('real')
  quantity!: number;

  @Column('integer', { name: 'unit_price_grosz' })
  unitPriceGrosz!: number;

  @Column('integer', { name: 'amount_grosz' })
  amountGrosz!: number;

  @Column('text', { name: 'best_before', nullable: true })
  bestBefore!: string | null;

  @Column('text', { name: 'storage_place' })
  storagePlace!: string;

  @Column('text', { name: 'scanned_text', nullable: true })
  scannedText!: string | null;

  @Column('text', { nullable: true })
  note!: string | null;
}
