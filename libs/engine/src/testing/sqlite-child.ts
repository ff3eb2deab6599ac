/**
 * The process in which a victim opens SQLite, with one thread in its pool: strace counts the calls of each thread by itself.
 * The real program is loaded afterwards, because the pool takes its size from the environment when it is first used.
 */
process.env['UV_THREADPOOL_SIZE'] = '1';
await import('../../../components-database/src/child/main.ts');
