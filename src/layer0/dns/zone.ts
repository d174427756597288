// What one app's containers see: names of its own services, and the router's names at its own gateway.
// Names of other apps do not exist here.

import type { DnsListener, DnsTable } from '#layer0/discovery/wire';
import {
  type Answer,
  addressRecordBytes,
  encodeAddresses,
  encodeRecord,
  noBytes,
  type Query,
  rcodes,
  serviceData,
  toWireName,
  types,
} from './packet.ts';

type TableInstance = NonNullable<DnsTable['services'][string]>[number];

/** Nothing keeps an answer: an instance that went must not be found a second later. */
const ttl = 0;
/** SOA fields: nobody transfers this zone, so that only the last, the time a "no" is kept, matters. */
const soaTimers = [1, 3600, 600, 86_400, 0];

interface Name {
  instances: readonly TableInstance[];
  /** Its key in the table, when the name stands for a whole service. */
  service?: string;
  /** Records encoded on first use; addresses twice in a row, so that a rotation is one slice. */
  addresses?: Buffer;
  services?: Buffer[];
  turn: number;
}

export class Zone {
  readonly #table: DnsTable;
  readonly #app: string;
  readonly #domain: readonly string[];
  readonly #routerSuffixes: ReadonlySet<string>;
  readonly #router: Name;
  readonly #nothing: Name = { instances: [], turn: 0 };
  readonly #negative: Record<'noName' | 'noData', Answer>;
  /** Names of services that were asked for and exist: a new table costs nothing for those that nobody asks. */
  readonly #found = new Map<string, Name>();
  /** What the zone of the table before this one had found. */
  readonly #before: ReadonlyMap<string, Name> | undefined;

  /** `previous` is this listener's zone before the table changed: what has not changed is not worked out again. */
  constructor(table: DnsTable, listener: DnsListener, previous?: Zone) {
    this.#table = table;
    const isSameSpace =
      previous !== undefined &&
      previous.#app === listener.app &&
      previous.#table.domain === table.domain;
    this.#before = isSameSpace ? previous.#found : undefined;
    this.#app = listener.app;
    this.#domain = ['service', ...table.domain.split('.')];
    this.#routerSuffixes = new Set(table.routerSuffixes.map((suffix) => suffix.toLowerCase()));
    this.#router = { instances: [{ address: listener.address, port: 0, id: '' }], turn: 0 };
    const origin = toWireName(this.#domain.join('.')) ?? '\0';
    this.#negative = {
      noName: negative(origin, rcodes.noName),
      noData: negative(origin, rcodes.ok),
    };
  }

  /** Undefined for names that are not ours: ask the world. */
  resolve(query: Query): Answer | undefined {
    const known = this.#found.get(query.name);
    if (known) return this.#answer(known, query);
    const found = this.#findAgain(query.name) ?? this.#find(labelsOf(query.name));
    if (found === 'world') return undefined;
    if (found === undefined) return this.#negative.noName;
    // Of services there are as many as the table says, of names under a router's suffix as many as somebody makes up.
    if (found !== this.#router) this.#found.set(query.name, found);
    return this.#answer(found, query);
  }

  /** How many names are remembered. */
  get size(): number {
    return this.#found.size;
  }

  /** A service that the last zone knew: by its key, and with its records when it has the same addresses. */
  #findAgain(name: string): Name | undefined {
    const before = this.#before?.get(name);
    if (before?.service === undefined) return undefined;
    const { service, addresses, turn } = before;
    const instances = this.#table.services[service];
    if (!instances) return undefined;
    const again: Name = { instances, service, turn: turn % Math.max(1, instances.length) };
    if (addresses && isSameAddresses(instances, before.instances)) again.addresses = addresses;
    return again;
  }

  #find(labels: readonly string[]): Name | 'world' | undefined {
    if (labels.length === 1) return this.#service(labels);
    const isOurs = endsWith(labels, this.#domain);
    if (isOurs) return this.#inDomain(labels.slice(0, -this.#domain.length));
    for (let from = 0; from < labels.length; from++)
      if (this.#routerSuffixes.has(labels.slice(from).join('.'))) return this.#router;
    return 'world';
  }

  /** Of the labels before `service.<domain>`. */
  #inDomain(labels: readonly string[]): Name | undefined {
    if (labels.length === 0) return this.#nothing;
    if (labels.at(-1) !== this.#app || labels.some((label) => label.includes('.')))
      return undefined;
    const inner = labels.slice(0, -1);
    const [first] = inner;
    if (first === undefined || (first === '_tcp' && inner.length === 1)) return this.#nothing;
    if (inner.length > 1 && inner.at(-1) === '_tcp' && first.startsWith('_'))
      return this.#service([first.slice(1), ...inner.slice(1, -1)]);
    const service = this.#service(inner);
    if (service) return service;
    const instances = this.#service(inner.slice(1))?.instances ?? [];
    const id = labels.join('.');
    const chosen = instances.filter((instance) =>
      first === 'leader' ? instance.isLeader : instance.id === id,
    );
    return chosen.length > 0 ? { instances: chosen, turn: 0 } : undefined;
  }

  #service(type: readonly string[]): Name | undefined {
    // The dot in it keeps it apart from what every object has, like `constructor`.
    const service = `${type.join('.')}.${this.#app}`;
    const instances = this.#table.services[service];
    return instances && { instances, service, turn: 0 };
  }

  #answer(name: Name, { type, isInternet }: Query): Answer {
    const count = name.instances.length;
    if (count === 0 || !isInternet) return this.#negative.noData;
    if (type === types.A || type === types.ANY) {
      name.addresses ??= twice(name.instances);
      const start = this.#turn(name) * addressRecordBytes;
      return positive(name.addresses.subarray(start, start + count * addressRecordBytes), count);
    }
    if (type !== types.SRV || name === this.#router) return this.#negative.noData;
    name.services ??= this.#encodeServices(name);
    const turn = this.#turn(name);
    const { services } = name;
    return positive(
      Buffer.concat([...services.slice(turn), ...services.slice(0, turn)]),
      services.length,
    );
  }

  #turn(name: Name): number {
    name.turn = (name.turn + 1) % name.instances.length;
    return name.turn;
  }

  #encodeServices({ instances }: Name): Buffer[] {
    return instances.flatMap(({ id, port }) => {
      const target = toWireName(`${id}.${this.#domain.join('.')}`);
      if (!target) return [];
      return encodeRecord({ type: types.SRV, ttl, data: serviceData(port, target) });
    });
  }
}

function isSameAddresses(
  some: readonly TableInstance[],
  others: readonly TableInstance[],
): boolean {
  return (
    some.length === others.length &&
    some.every(({ address }, index) => address === others[index]?.address)
  );
}

function twice(instances: readonly TableInstance[]): Buffer {
  const addresses = instances.map(({ address }) => address);
  return encodeAddresses([...addresses, ...addresses], ttl);
}

/** Of a name in wire form. */
function labelsOf(name: string): string[] {
  const labels: string[] = [];
  for (let at = 0; name.charCodeAt(at) > 0; at += name.charCodeAt(at) + 1)
    labels.push(name.slice(at + 1, at + 1 + name.charCodeAt(at)));
  return labels;
}

function endsWith(labels: readonly string[], ending: readonly string[]): boolean {
  const start = labels.length - ending.length;
  return start >= 0 && ending.every((label, at) => labels[start + at] === label);
}

function positive(answers: Buffer, answerCount: number): Answer {
  return {
    rcode: rcodes.ok,
    isAuthoritative: true,
    answers,
    answerCount,
    authority: noBytes,
    authorityCount: 0,
  };
}

/** The SOA tells resolvers that the "no" is ours and for how long it holds. */
function negative(origin: string, rcode: number): Answer {
  const timers = Buffer.alloc(20);
  for (const [at, value] of soaTimers.entries()) timers.writeUInt32BE(value, at * 4);
  const data = Buffer.concat([Buffer.from(`\x02ns${origin}\x04root${origin}`, 'latin1'), timers]);
  return {
    rcode,
    isAuthoritative: true,
    answers: noBytes,
    answerCount: 0,
    authority: encodeRecord({ name: origin, type: types.SOA, ttl, data }),
    authorityCount: 1,
  };
}
