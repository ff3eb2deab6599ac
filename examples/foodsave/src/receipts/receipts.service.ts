import { randomUUID } from 'node:crypto';
import { BadRequestException, Injectable, NotFoundException } from '@nestjs/common';
import { DataSource, In } from 'typeorm';
import { Product } from '../products/product.entity.ts';
import { WriteLock } from '../storage/write-lock.ts';
import type { CreateReceipt } from './create-receipt.dto.ts';
import { ReceiptItem } from './receipt-item.entity.ts';
import { Receipt } from './receipt.entity.ts';

type NewItem = Omit<ReceiptItem, 'id' | 'receiptId' | 'receipt' | 'product'>;

@Injectable()
export class ReceiptsService {
  readonly #dataSource: DataSource;
  readonly #writes: WriteLock;

  constructor(dataSource: DataSource, writes: WriteLock) {
    this.#dataSource = dataSource;
    this.#writes = writes;
  }

  async get(id: number): Promise<Receipt> {
    const receipt = await this.#dataSource.getRepository(Receipt).findOne({
      where: { id },
      relations: { items: true },
      order: { items: { lineNo: 'ASC' } },
    });
    if (receipt === null) throw new NotFoundException(`there is no receipt ${String(id)}`);
    return receipt;
  }

  async create(wanted: CreateReceipt): Promise<Receipt> {
    const id = await this.#writes.run(async () => {
      const items = await this.#itemsOf(wanted);
      // Only writes inside: a transaction that begins with a read fails when another process writes before it does.
      return this.#dataSource.transaction(async (manager) => {
        const inserted = await manager.insert(Receipt, {
          userId: wanted.userId,
          number: `APP/${randomUUID()}`,
          storeName: wanted.storeName,
          storeAddress: wanted.storeAddress,
          purchasedAt: new Date(wanted.purchasedAt).toISOString(),
          paymentMethod: wanted.paymentMethod,
          itemCount: items.length,
          totalGrosz: items.reduce((total, item) => total + item.amountGrosz, 0),
          photoPath: null,
          note: wanted.note ?? null,
        });
        const receiptId = Number(inserted.identifiers[0]?.['id']);
        await manager.insert(
          ReceiptItem,
          items.map((item) => ({ ...item, receiptId })),
        );
        for (const item of items) {
          await manager.decrement(Product, { id: item.productId }, 'stock', Math.ceil(item.quantity));
        }
        return receiptId;
      });
    });
    return this.get(id);
  }

  async #itemsOf(wanted: CreateReceipt): Promise<NewItem[]> {
    const users: unknown[] = await this.#dataSource.query('SELECT 1 FROM users WHERE id = ?', [wanted.userId]);
    if (users.length === 0) throw new BadRequestException(`there is no user ${String(wanted.userId)}`);
    const ids = [...new Set(wanted.items.map((item) => item.productId))];
    const found = await this.#dataSource.getRepository(Product).findBy({ id: In(ids) });
    const products = new Map(found.map((product) => [product.id, product]));
    return wanted.items.map((item, index) => {
      const product = products.get(item.productId);
      if (product === undefined) throw new BadRequestException(`there is no product ${String(item.productId)}`);
      const price = item.unitPriceGrosz ?? product.priceGrosz;
      return {
        productId: product.id,
        lineNo: index + 1,
        name: product.name,
        quantity: item.quantity,
        unitPriceGrosz: price,
        amountGrosz: Math.max(1, Math.round(item.quantity * price)),
        bestBefore: item.bestBefore ?? null,
        storagePlace: item.storagePlace,
        scannedText: null,
        note: item.note ?? null,
      };
    });
  }
}
