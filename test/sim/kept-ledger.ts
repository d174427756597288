// The store's disk in a simulation: it outlives the process that writes it, and shows every commit.

import type { Commit } from '../../src/layer0/store/ledger.ts';
import { MemoryLedger } from '../../src/layer0/store/memory-ledger.ts';
import type { Entry } from '../../src/layer0/store/wire.ts';

export type Backup = ReturnType<KeptLedger['copy']>;

export class KeptLedger extends MemoryLedger {
  onCommit: (commit: Commit) => void = () => {};

  /** What a backup of this moment has: all but what lives under a lease. */
  copy(): { revision: number; entries: Entry[] } {
    const entries = this.readRange({ prefix: '' }).filter(({ lease }) => lease === undefined);
    return { revision: this.revision(), entries };
  }

  /** The disk of a store that was restored from a backup. */
  static restored({ revision, entries }: Backup, incarnation: string): KeptLedger {
    const ledger = new KeptLedger(incarnation);
    const changes = entries.map((after) => ({ key: after.key, after }));
    ledger.append({ revision, changes });
    ledger.compact(revision);
    return ledger;
  }

  override append(commit: Commit): void {
    super.append(commit);
    this.onCommit(commit);
  }

  /** A process that stops leaves its disk as it is. */
  override close(): void {}
}
