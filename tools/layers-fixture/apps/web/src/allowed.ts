// expect: nothing
import 'react';
import type {} from '@foodsave-backup/contracts/types';
