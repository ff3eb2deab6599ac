import { Column, Entity, OneToMany, PrimaryGeneratedColumn } from 'typeorm';
import type { Relation } from 'typeorm';
import { ReceiptItem } from './receipt-item.entity.ts';

@Entity({ name: 'receipts' })
export class Receipt {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('integer', { name: 'user_id' })
  userId!: number;

  @Column('text', { unique: true })
  number!: string;

  @Column('text', { name: 'store_name' })
  storeName!: string;

  @Column('text', { name: 'store_address' })
  storeAddress!: string;

  @Column('text', { name: 'purchased_at' })
  purchasedAt!: string;

  @Column('text', { name: 'payment_method' })
  paymentMethod!: string;

  @Column('integer', { name: 'item_count' })
  itemCount!: number;

  @Column('integer', { name: 'total_grosz' })
  totalGrosz!: number;

  /** Relative to the data directory. */
  @Column('text', { name: 'photo_path', nullable: true })
  photoPath!: string | null;

  @Column('text', { nullable: true })
  note!: string | null;

  @OneToMany(() => ReceiptItem, (item) => item.receipt)
  items!: Relation<ReceiptItem[]>;
}
