// What a benchmark says: one figure against a named peer, measured in the same run.

export interface BenchResult {
  name: string;
  figure: number;
  unit: string;
  peer: string;
  peerFigure: number;
  /** figure / peerFigure, the median of the pairs. */
  ratio: number;
  target: string;
  isMet: boolean;
  /** Smallest and largest ratio of the pairs. */
  min: number;
  max: number;
  pairs: number;
  note?: string;
}
