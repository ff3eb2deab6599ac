// Takes a lease of the directory in its first argument for itself alone, says "held" and keeps it until it is killed.
import { systemClock } from '@foodsave-backup/kernel';
import { createLocalStorage } from '@foodsave-backup/storage';
import { LeaseStore } from '../index.ts';

const storage = createLocalStorage(process.argv[2] ?? '');
await new LeaseStore(storage, systemClock).acquire({ purpose: 'cleanup', exclusive: true, waitMs: 0 });
process.stdout.write('held\n');
setInterval(() => undefined, 1000);
