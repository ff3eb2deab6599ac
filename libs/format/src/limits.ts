/** Limits of FORMAT.md. A reader refuses what exceeds them, before it allocates. */
export const LIMITS = {
  frameBytes: 4 * 1024 * 1024,
  blobBytes: 16 * 1024 * 1024,
  framesPerBlob: 4096,
  packBytes: 64 * 1024 * 1024,
  sealedBytes: 256 * 1024 * 1024,
  manifestBytes: 64 * 1024 * 1024,
  keyFileBytes: 64 * 1024,
  repositoryFileBytes: 64 * 1024,
  nodeLevels: 8,
  /** Of one entry: names, values and their lengths. */
  xattrBytes: 256 * 1024,
} as const;

export const FORMAT_VERSION = 1;
