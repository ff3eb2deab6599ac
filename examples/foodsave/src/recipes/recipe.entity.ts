import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

@Entity({ name: 'recipes' })
export class Recipe {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('integer', { name: 'author_id' })
  authorId!: number;

  @Column('text')
  title!: string;

  @Column('text')
  cuisine!: string;

  @Column('integer')
  servings!: number;

  @Column('integer')
  minutes!: number;

  @Column('text')
  ingredients!: string;

  @Column('text')
  steps!: string;

  @Column('text', { nullable: true })
  note!: string | null;

  @Column('text', { name: 'created_at' })
  createdAt!: string;
}
