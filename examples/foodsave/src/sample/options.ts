/** What went wrong and, in `hint`, what to do next. */
export class SampleError extends Error {
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.name = 'SampleError';
    this.hint = hint;
  }
}

export interface SampleOptions {
  /** Anything: the same seed and sizes give the same bytes. Default `foodsave`. */
  seed?: string;
  /** Size of everything; 1 is a database of about 2.5 MB and a hundred files. Default 1. */
  scale?: number;
  /** Instead of `scale`: the size that the database should have, in bytes. It is met within a few percent. */
  databaseBytes?: number;
  /** Number of text documents. By default it follows the scale. */
  documents?: number;
  /** Number of photographs of receipts. By default it follows the scale. */
  photos?: number;
  /** Number of vectors. By default one for each recipe and document. */
  vectors?: number;
}

/** How many of each are made. */
export interface SampleSizes {
  users: number;
  products: number;
  recipes: number;
  receipts: number;
  mealPlans: number;
  documents: number;
  photos: number;
  vectors: number;
}

/** Bytes of database that a scale of 1 adds in receipts and their items, and what grows with its square root. Measured. */
const BYTES_PER_SCALE = 1_988_000;
const BYTES_PER_ROOT = 330_000;
const MAX_SCALE = 10_000;

/** The scale whose database is about `bytes` long: solves `a·s + b·√s = bytes`. */
export function scaleForDatabase(bytes: number): number {
  const root =
    (Math.sqrt(BYTES_PER_ROOT * BYTES_PER_ROOT + 4 * BYTES_PER_SCALE * bytes) - BYTES_PER_ROOT) / (2 * BYTES_PER_SCALE);
  return root * root;
}

function wholeNumber(name: string, value: number | undefined, fallback: number, minimum: number): number {
  if (value === undefined) return fallback;
  if (Number.isSafeInteger(value) && value >= minimum && value <= 1_000_000) return value;
  throw new SampleError(
    `the number of ${name} is not usable: ${String(value)}`,
    `give a whole number from ${String(minimum)} to 1000000`,
  );
}

export function sizesOf(options: SampleOptions): SampleSizes {
  if (options.scale !== undefined && options.databaseBytes !== undefined) {
    throw new SampleError('both a scale and a size of the database were given', 'give one of them');
  }
  const scale =
    options.databaseBytes === undefined ? (options.scale ?? 1) : scaleForDatabase(Math.max(0, options.databaseBytes));
  if (!(scale > 0 && scale <= MAX_SCALE)) {
    throw new SampleError(
      `the scale is not usable: ${String(scale)}`,
      `give a number above 0, at most ${String(MAX_SCALE)}; 1 is about 2.5 MB`,
    );
  }
  const root = Math.sqrt(scale);
  const grown = (count: number, minimum: number): number => Math.max(minimum, Math.round(count * root));
  const recipes = grown(80, 15);
  const documents = wholeNumber('documents', options.documents, grown(60, 12), 12);
  return {
    users: grown(40, 5),
    products: grown(600, 30),
    recipes,
    receipts: Math.max(20, Math.round(700 * scale)),
    mealPlans: grown(300, 10),
    documents,
    photos: wholeNumber('photos', options.photos, grown(40, 8), 4),
    vectors: wholeNumber('vectors', options.vectors, recipes + documents, 1),
  };
}
