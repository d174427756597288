// Times, durations and sizes as people read and write them.

import { cliErrors } from './errors.ts';

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** `8 s`, `3 min`, `5 h`, `12 d`: one unit, rounded down. */
export function durationText(ms: number): string {
  if (ms < minute) return `${Math.max(0, Math.floor(ms / second))} s`;
  if (ms < hour) return `${Math.floor(ms / minute)} min`;
  if (ms < 2 * day) return `${Math.floor(ms / hour)} h`;
  return `${Math.floor(ms / day)} d`;
}

export function agoText(at: number, now: number): string {
  return now - at < second ? 'just now' : `${durationText(now - at)} ago`;
}

/** `2026-11-21 02:34:32Z`, for what is too old for `3 d ago` to help. */
export function dateText(at: number): string {
  return new Date(at).toISOString().replace('T', ' ').replace(/\.\d+/, '');
}

const sizeUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < sizeUnits.length - 1; unit++) value /= 1024;
  const digits = Number.isInteger(value) || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${sizeUnits[unit]}`;
}

/** `512M`, `1.5GiB`, `1gb`, `1048576`: powers of 1024 whatever the spelling, as Docker reads them. */
export function parseSize(text: string, what: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim());
  const unit = ' kmgt'.indexOf(match?.[2]?.toLowerCase() || ' ');
  if (!match) throw cliErrors.usage(`${what}=${text} is not a size; write it like 512M or 1.5G`);
  return Math.round(Number(match[1]) * 1024 ** unit);
}

/** 1000 is one processor. */
export function cpuText(millis: number): string {
  return `${millis / 1_000} cpu`;
}

/** `memory 1 GiB, 0.5 cpu, 512 pids` */
export function limitText(limit: { memoryBytes: number; cpuMillis: number; pids: number }): string {
  return `memory ${sizeText(limit.memoryBytes)}, ${cpuText(limit.cpuMillis)}, ${limit.pids} pids`;
}

/** `500` and `500m` are thousandths of a processor, `0.5` with its point is half of one. */
export function parseCpu(text: string): number {
  const [, number = '', isMillis] = /^(\d{1,7}(?:\.\d{1,3})?)(m?)$/.exec(text) ?? [];
  const millis = number.includes('.') && !isMillis ? Number(number) * 1_000 : Number(number);
  if (Number.isInteger(millis) && millis > 0) return millis;
  throw cliErrors.usage(`cpu=${text} is not a share of processors; write it like 500 or 0.5`);
}
