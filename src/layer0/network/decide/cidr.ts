// IPv4 ranges as numbers: parsing, containment, and what is special in a subnet.

import { networkErrors } from '../errors.ts';

export interface Range {
  /** First address. */
  base: number;
  prefixLength: number;
}

export function parseIp(text: string): number {
  const parts = text.split('.');
  const numbers = parts.map(Number);
  const isOk = parts.every((part, at) => /^\d{1,3}$/.test(part) && (numbers[at] ?? 256) < 256);
  if (parts.length !== 4 || !isOk) throw networkErrors.badRange(`${text} is no IPv4 address`);
  return numbers.reduce((ip, part) => ip * 256 + part, 0);
}

export function formatIp(ip: number): string {
  return [ip >>> 24, (ip >>> 16) & 255, (ip >>> 8) & 255, ip & 255].join('.');
}

export function parseCidr(text: string): Range {
  const [ip = '', length = ''] = text.split('/');
  const prefixLength = Number(length);
  if (!/^\d{1,2}$/.test(length) || prefixLength > 32)
    throw networkErrors.badRange(`${text} is not a range like 10.64.0.0/12`);
  const size = 2 ** (32 - prefixLength);
  return { base: Math.floor(parseIp(ip) / size) * size, prefixLength };
}

export function formatCidr({ base, prefixLength }: Range): string {
  return `${formatIp(base)}/${prefixLength}`;
}

export function sizeOf({ prefixLength }: Range): number {
  return 2 ** (32 - prefixLength);
}

export function overlaps(a: Range, b: Range): boolean {
  return a.base < b.base + sizeOf(b) && b.base < a.base + sizeOf(a);
}

export function contains(range: Range, ip: number): boolean {
  return ip >= range.base && ip < range.base + sizeOf(range);
}

/** The first address of a subnet is its gateway on this host. */
export function gatewayOf(subnet: string): string {
  return formatIp(parseCidr(subnet).base + 1);
}

/** 02:42 and the address: the same address always has the same MAC, so that no neighbour's memory is wrong. */
export function macOf(ip: string): string {
  const hex = ip.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return `02:42:${hex.join(':')}`;
}
