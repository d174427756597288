// Apps whose jobs may not be what their formations ask for, the most important first, then the one that waits longest.
// Kept in order as they come: with ten thousand of them, sorting for each transaction would be all the work there is.

export class DirtyApps {
  readonly #byPriority = new Map<number, Set<string>>();
  readonly #priorities = new Map<string, number>();

  /** One that is there keeps its turn, unless its priority is another now. */
  add(app: string, priority: number): void {
    if (this.#priorities.get(app) === priority) return;
    this.delete(app);
    this.#priorities.set(app, priority);
    const apps = this.#byPriority.get(priority);
    if (apps) apps.add(app);
    else this.#byPriority.set(priority, new Set([app]));
  }

  delete(app: string): void {
    const priority = this.#priorities.get(app);
    if (priority === undefined) return;
    this.#priorities.delete(app);
    const apps = this.#byPriority.get(priority);
    apps?.delete(app);
    if (apps?.size === 0) this.#byPriority.delete(priority);
  }

  /** Highest first, with the apps of each; an app may be deleted meanwhile. */
  byPriority(): [number, Iterable<string>][] {
    return [...this.#byPriority].sort(([a], [b]) => b - a);
  }
}
