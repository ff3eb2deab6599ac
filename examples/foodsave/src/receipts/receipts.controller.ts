import { Body, Controller, Get, Param, ParseIntPipe, Post } from '@nestjs/common';
import { CreateReceipt } from './create-receipt.dto.ts';
import type { Receipt } from './receipt.entity.ts';
import { ReceiptsService } from './receipts.service.ts';

@Controller('receipts')
export class ReceiptsController {
  readonly #receipts: ReceiptsService;

  constructor(receipts: ReceiptsService) {
    this.#receipts = receipts;
  }

  @Get(':id')
  get(@Param('id', ParseIntPipe) id: number): Promise<Receipt> {
    return this.#receipts.get(id);
  }

  @Post()
  create(@Body() receipt: CreateReceipt): Promise<Receipt> {
    return this.#receipts.create(receipt);
  }
}
