// Commits numbered values as fast as it can and writes down each number once its commit was acknowledged.
// Arguments: folder, file of acknowledgements, first number, how many, durable|weak.

import { openSync, writeSync } from 'node:fs';
import { systemClock } from '#core/clock';
import { silentLog } from '#core/log';
import { openSqliteStore } from '#layer0/store/index';
import { numbered } from './numbered.ts';

const writers = 4;
const [folder = '', acks = '', first = '0', count = '0', mode] = process.argv.slice(2);
const file = openSync(acks, 'a');
const store = await openSqliteStore({
  folder,
  clock: systemClock,
  log: silentLog,
  isDurable: mode === 'durable',
});
let next = Number(first);
const end = next + Number(count);
await Promise.all(
  Array.from({ length: writers }, async () => {
    while (next < end) {
      const number = next++;
      const operations = [{ put: `k/${number}`, value: numbered(number) }];
      await store.txn({ compare: [], operations });
      writeSync(file, `${number}\n`);
    }
  }),
);
// The power goes now: nothing is closed.
process.kill(process.pid, 'SIGKILL');
