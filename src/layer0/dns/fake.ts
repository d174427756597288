// For tests: tables out of a few words, a client that asks one question, and an upstream that does as told.

import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { type DecodedPacket, decode, encode, type Packet, type RecordType } from 'dns-packet';
import type { DnsTable } from '#layer0/discovery/wire';

export function aTable(overrides: Partial<DnsTable> = {}): DnsTable {
  return {
    domain: 'gantry',
    listeners: [{ address: '127.0.0.1', subnet: '127.0.0.0/8', app: 'shop' }],
    services: {
      'web.shop': [
        { address: '10.64.1.2', port: 8080, id: '1.web.shop' },
        { address: '10.64.1.3', port: 8080, id: '2.web.shop' },
        { address: '10.64.1.4', port: 8080, id: '3.web.shop' },
      ],
      'web.other': [{ address: '10.64.2.2', port: 8080, id: '1.web.other' }],
    },
    routerSuffixes: ['gantry.localhost'],
    upstreams: [],
    ...overrides,
  };
}

export function aQuestion(name: string, type: RecordType = 'A', udpBytes = 0): Buffer {
  const packet: Packet = {
    type: 'query',
    id: 4711,
    flags: 0x0100,
    questions: [{ type, name }],
  };
  if (udpBytes > 0)
    packet.additionals = [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: udpBytes,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ];
  return encode(packet);
}

export interface Target {
  port: number;
  address?: string;
  /** Where to ask from. */
  from?: string;
}

/** The first answer to a datagram, or undefined after the time limit. */
export function askUdp(
  target: Target,
  message: Buffer,
  timeoutMs = 2_000,
): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    const finish = (answer: Buffer | undefined) => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => finish(undefined), timeoutMs);
    socket.once('message', finish);
    socket.once('error', reject);
    socket.bind({ address: target.from ?? '127.0.0.1', port: 0 }, () =>
      socket.send(message, target.port, target.address ?? '127.0.0.1'),
    );
  });
}

export function askTcp(target: Target, message: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: target.address ?? '127.0.0.1', port: target.port });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(message.length);
    let received = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      socket.destroy();
      resolve(received.subarray(2));
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed without an answer')));
    socket.write(Buffer.concat([length, message]));
  });
}

export interface FakeUpstream {
  port: number;
  /** Names asked, in order, resends included. */
  asked: string[];
  close(): void;
}

/** Answers as `script` says; undefined loses the packet. */
export function startUpstream(
  script: (question: DecodedPacket, count: number) => Packet | undefined,
): Promise<FakeUpstream> {
  const socket = createSocket('udp4');
  const asked: string[] = [];
  socket.on('message', (message, from) => {
    const question = decode(message);
    asked.push(question.questions?.[0]?.name ?? '');
    const answer = script(question, asked.length);
    if (answer) socket.send(encode({ ...answer, id: question.id ?? 0 }), from.port, from.address);
  });
  return new Promise((resolve) =>
    socket.bind({ address: '127.0.0.1', port: 0 }, () =>
      resolve({ port: socket.address().port, asked, close: () => socket.close() }),
    ),
  );
}

/** Addresses of an answer, in order. */
export function addressesOf(answer: Buffer | undefined): string[] {
  if (!answer) return [];
  return (decode(answer).answers ?? []).flatMap((record) =>
    record.type === 'A' ? record.data : [],
  );
}
