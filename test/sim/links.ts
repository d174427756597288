// Who hears whom: each direction between two places can be cut, more than once at a time, and heals when all of it has healed.

import type { Clock } from '#core/clock';

export class Links {
  readonly #cuts = new Map<string, number>();
  readonly #listeners = new Set<() => void>();

  /** Returns what heals this cut. */
  cut(from: string, to: string): () => void {
    const key = `${from}>${to}`;
    this.#cuts.set(key, (this.#cuts.get(key) ?? 0) + 1);
    this.#tell();
    let isCut = true;
    return () => {
      if (!isCut) return;
      isCut = false;
      const left = (this.#cuts.get(key) ?? 0) - 1;
      if (left > 0) this.#cuts.set(key, left);
      else this.#cuts.delete(key);
      this.#tell();
    };
  }

  healAll(): void {
    this.#cuts.clear();
    this.#tell();
  }

  isOpen(from: string, to: string): boolean {
    return !this.#cuts.has(`${from}>${to}`);
  }

  /** Resolves with true as soon as the way is open, with false when it was not for so long. */
  opens(from: string, to: string, { clock, withinMs }: { clock: Clock; withinMs: number }) {
    if (this.isOpen(from, to)) return Promise.resolve(true);
    return new Promise<boolean>((resolve) => {
      const end = (isOpen: boolean) => {
        forget();
        limit.cancel();
        resolve(isOpen);
      };
      const limit = clock.timer(withinMs, () => end(false));
      const forget = this.onChange(() => {
        if (this.isOpen(from, to)) end(true);
      });
    });
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
