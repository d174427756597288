// A frame in a VXLAN packet, as a tunnel would send it: what somebody makes who wants into a network that is not his.

import { macOf } from '../../src/layer0/network/decide/cidr.ts';

export interface Forged {
  vni: number;
  from: string;
  to: string;
}

/** Ethernet, IPv4 and an UDP datagram to port 9, where nobody listens: its container counts it. */
export function vxlanPacket({ vni, from, to }: Forged): number[] {
  const bytes = (address: string) => address.split('.').map(Number);
  const header = [0x45, 0, 0, 29, 0, 1, 0, 0, 64, 17, 0, 0, ...bytes(from), ...bytes(to)];
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += (header[at] ?? 0) * 256 + (header[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  header.splice(10, 2, (~sum >>> 8) & 255, ~sum & 255);
  const mac = (address: string) =>
    macOf(address)
      .split(':')
      .map((part) => Number.parseInt(part, 16));
  return [
    ...[8, 0, 0, 0, vni >>> 16, (vni >>> 8) & 255, vni & 255, 0],
    ...[...mac(to), ...mac(from), 8, 0],
    ...[...header, 0, 9, 0, 9, 0, 9, 0, 0, 0x21],
  ];
}

/** A program for `node -e` that sends it to a machine. */
export function sendProgram(forged: Forged, member: string): string {
  const packet = JSON.stringify(vxlanPacket(forged));
  return `const s = require("node:dgram").createSocket("udp4"); s.send(Buffer.from(${packet}), 4789, "${member}", () => s.close())`;
}

/** Datagrams to ports where nobody listens, out of /proc/net/snmp. */
export function unclaimedDatagrams(snmp: string): number {
  const rows = snmp.split('\n').filter((line) => line.startsWith('Udp:'));
  const [names = [], values = []] = rows.map((row) => row.split(/\s+/));
  return Number(values[names.indexOf('NoPorts')]);
}
