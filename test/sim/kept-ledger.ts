// The store's disk in a simulation: it outlives the process that writes it, and shows every commit.

import type { Commit } from '../../src/layer0/store/ledger.ts';
import { MemoryLedger } from '../../src/layer0/store/memory-ledger.ts';

export class KeptLedger extends MemoryLedger {
  onCommit: (commit: Commit) => void = () => {};

  override append(commit: Commit): void {
    super.append(commit);
    this.onCommit(commit);
  }

  /** A process that stops leaves its disk as it is. */
  override close(): void {}
}
