/** Where the configuration came from when there is no file. */
export const EMBEDDED_SOURCE = 'embedded default';

/** The configuration without a file: protects the FoodSave sample application as it lies beside the working directory. */
export function embeddedDefault(): unknown {
  return {
    application: 'foodsave',
    repository: { type: 'local', path: './backups' },
    components: {
      database: { driver: 'sqlite', path: './data/foodsave.db' },
      files: { include: ['./data/uploads', './data/docs'], exclude: ['*.tmp'] },
      config: { include: ['./data/config'], env: ['LOG_LEVEL'] },
      vector_store: { driver: 'faiss', path: './data/vector_store' },
    },
    schedules: { backup: '0 2 * * *', cleanup: '0 3 * * 0', verify: '0 4 * * 1', drill: '0 5 1 * *' },
    retention: { daily: 7, weekly: 4, monthly: 12 },
  };
}
