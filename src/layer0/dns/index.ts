// The DNS process: answers each app network from the table file. Knows no store and no daemon, so that it outlives both.

import type { Clock } from '#core/clock';
import type { Component } from '#core/component';
import type { DnsTable } from '#layer0/discovery/wire';
import type { DnsConfig } from './config.ts';
import { Forwarder } from './forwarder.ts';
import { Listener } from './listener.ts';
import { encodeAnswer, encodeRefusal, parseQuery, udpLimit } from './packet.ts';
import { TableFile } from './table-file.ts';
import { Zone } from './zone.ts';

const maxTcpBytes = 65_535;

/** Two methods of any structured log. */
export interface DnsLog {
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
}

export interface DnsDeps {
  clock: Clock;
  log: DnsLog;
}

export function createDnsServer(deps: DnsDeps, config: DnsConfig): Component {
  return new DnsServer(deps, config);
}

class DnsServer implements Component {
  readonly #deps: DnsDeps;
  readonly #config: DnsConfig;
  readonly #file: TableFile;
  readonly #forwarder: Forwarder;
  readonly #listeners = new Map<string, Listener>();
  #table: DnsTable | undefined;
  /** By app name, made on the first question after a change of the table. */
  #zones = new Map<string, Zone>();
  /** Those of the table before. */
  #lastZones: ReadonlyMap<string, Zone> = new Map();
  #queries = 0;

  constructor(deps: DnsDeps, config: DnsConfig) {
    this.#deps = deps;
    this.#config = config;
    this.#forwarder = new Forwarder({
      clock: deps.clock,
      upstreams: () => this.#table?.upstreams ?? [],
      ...(config.upstreamPort === undefined ? {} : { port: config.upstreamPort }),
    });
    this.#file = new TableFile(config.tablePath, {
      clock: deps.clock,
      onTable: (table) => this.#use(table),
      onProblem: (error) => deps.log.warn({ err: String(error) }, 'cannot read the table'),
    });
  }

  async start(): Promise<void> {
    this.#file.start();
  }

  async stop(): Promise<void> {
    this.#file.stop();
    for (const listener of this.#listeners.values()) listener.close();
    this.#listeners.clear();
    this.#forwarder.close();
  }

  status(): Record<string, unknown> {
    const listeners = [...this.#listeners.values()];
    return {
      queries: this.#queries,
      listeners: listeners.length,
      bound: listeners.filter((listener) => listener.isBound).length,
      services: Object.keys(this.#table?.services ?? {}).length,
      forwarder: this.#forwarder.status(),
    };
  }

  #use(table: DnsTable): void {
    this.#table = table;
    this.#lastZones = this.#zones;
    this.#zones = new Map();
    const wanted = new Map(table.listeners.map((record) => [keyOf(record), record]));
    for (const [key, listener] of this.#listeners) {
      if (wanted.has(key)) continue;
      listener.close();
      this.#listeners.delete(key);
    }
    for (const [key, record] of wanted)
      if (!this.#listeners.has(key)) this.#listeners.set(key, this.#listen(record));
  }

  #listen(record: DnsTable['listeners'][number]): Listener {
    const { log, clock } = this.#deps;
    const { address } = record;
    let isTold = false;
    return new Listener(record, {
      clock,
      port: this.#config.port,
      handle: (message, isTcp, reply) => this.#handle(record, message, isTcp, reply),
      onBound: () => log.info({ address, app: record.app }, 'listening'),
      onFailed: ({ code }) => {
        if (!isTold) log.warn({ address, code }, 'cannot listen yet; trying again until it works');
        isTold = true;
      },
    });
  }

  #handle(
    record: DnsTable['listeners'][number],
    message: Buffer,
    isTcp: boolean,
    reply: (answer: Buffer) => void,
  ): void {
    this.#queries++;
    const query = parseQuery(message);
    if (query === undefined) return;
    if (typeof query === 'number') {
      reply(encodeRefusal(message, query));
      return;
    }
    const answer = this.#zoneOf(record).resolve(query);
    if (answer) reply(encodeAnswer(query, answer, isTcp ? maxTcpBytes : udpLimit(query)));
    else this.#forwarder.ask(query, isTcp, reply);
  }

  #zoneOf(record: DnsTable['listeners'][number]): Zone {
    const there = this.#zones.get(record.address);
    if (there) return there;
    const table = this.#table;
    if (!table) throw new Error('a question came before the first table');
    const zone = new Zone(table, record, this.#lastZones.get(record.address));
    this.#zones.set(record.address, zone);
    return zone;
  }
}

function keyOf({ address, subnet, app }: DnsTable['listeners'][number]): string {
  return `${address} ${subnet} ${app}`;
}
