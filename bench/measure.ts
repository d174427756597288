// Medians and ratios of interleaved pairs: what every benchmark does with its samples.

import type { BenchResult } from './result.ts';

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low = 0, high = 0] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return (low + high) / 2;
}

export interface Pairs {
  name: string;
  unit: string;
  peer: string;
  target: string;
  /** Each pair measured one right after the other. */
  pairs: { ours: number; peer: number }[];
  isMet(result: { ratio: number; figure: number; peerFigure: number }): boolean;
  note?: string;
}

export function resultOf({ name, unit, peer, target, pairs, isMet, note }: Pairs): BenchResult {
  const ratios = pairs.map((pair) => pair.ours / pair.peer);
  const figure = median(pairs.map(({ ours }) => ours));
  const peerFigure = median(pairs.map((pair) => pair.peer));
  const ratio = median(ratios);
  return {
    name,
    figure,
    unit,
    peer,
    peerFigure,
    ratio,
    target,
    isMet: isMet({ ratio, figure, peerFigure }),
    min: Math.min(...ratios),
    max: Math.max(...ratios),
    pairs: pairs.length,
    ...(note ? { note } : {}),
  };
}
