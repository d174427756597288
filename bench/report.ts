// A result as a line for people and a line for the record.

import { availableParallelism } from 'node:os';
import type { BenchResult } from './result.ts';

export function readable(result: BenchResult): string {
  const { name, figure, unit, peer, peerFigure, ratio, min, max, pairs, target, isMet, note } =
    result;
  const spread = `${digits(min)}-${digits(max)}, ${pairs} ${pairs === 1 ? 'pair' : 'pairs'}`;
  const verdict = isMet ? 'met' : 'MISSED';
  const line = [
    `${name}: ${digits(figure)} ${unit}`,
    `${peer}: ${digits(peerFigure)}`,
    `ratio ${digits(ratio)} (${spread})`,
    `target ${target}: ${verdict}`,
  ].join(' | ');
  return note === undefined ? line : `${line}\n  ${note}`;
}

/** One line of JSON: the result, where it was taken, and whether it was only a try. */
export function recordLine(bench: string, isTiny: boolean, result: BenchResult): string {
  const machine = { cores: availableParallelism(), node: process.version };
  return JSON.stringify({ bench, isTiny, ...result, ...machine });
}

/** Three digits that mean something, without an exponent. */
function digits(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 1000) return Math.round(value).toString();
  return Number(value.toPrecision(3)).toString();
}
