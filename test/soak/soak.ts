// What every soak is: rounds that are played one after the other or side by side, and those that failed, in words.

export interface SoakOptions {
  /** Rounds, or seeds; each soak has its own number where none is asked for. */
  count: number | undefined;
  /** Number of the first one: a later run can begin where an earlier one ended. */
  first: number;
  /** The store is on etcd, on three machines: once it is, those machines keep it. */
  isOnEtcd: boolean;
}

export interface SoakResult {
  played: number;
  /** One line for each round that failed, with what is needed to play it again. */
  failures: string[];
  /** Figures, for people. */
  figures: string[];
}

export interface Soak {
  play(options: SoakOptions): Promise<SoakResult>;
}
