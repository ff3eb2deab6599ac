// expect: repository-imports
export const late = (): Promise<unknown> => import('better-sqlite3');
