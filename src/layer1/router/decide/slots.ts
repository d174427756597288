// Which backend of HAProxy belongs to which service. HAProxy cannot add a backend at run time, so numbered ones are kept
// spare. A number is given to one service once and never to another: an old file and a new map can then never be mixed
// up into one app's name leading to another app's instances.

export interface Slots {
  /** Service to its backend's number. */
  byService: ReadonlyMap<string, number>;
  /** The next number to give. */
  next: number;
  /** The last number rendered as a spare backend. */
  end: number;
}

export const noSlots: Slots = { byService: new Map(), next: 1, end: 0 };

export const backendOfSlot = (slot: number) => `b${slot}`;

/**
 * Keeps what is assigned, frees what is not wanted, gives numbers to what is new. When less than a quarter of `spares`
 * is left, `end` moves on: a reload has to bring those backends in.
 */
export function assignSlots(slots: Slots, wanted: Iterable<string>, spares: number): Slots {
  const byService = new Map<string, number>();
  let next = slots.next;
  let hasChanged = false;
  for (const service of wanted) {
    const slot = slots.byService.get(service);
    byService.set(service, slot ?? next++);
    if (slot === undefined) hasChanged = true;
  }
  const left = slots.end - next + 1;
  const end = left < Math.ceil(spares / 4) ? next + spares - 1 : slots.end;
  if (!hasChanged && end === slots.end && byService.size === slots.byService.size) return slots;
  return { byService, next, end };
}

/** HAProxy's map from backend to service; its first line keeps the numbers that were given away. */
export function renderServicesMap(slots: Slots, tcp: ReadonlyMap<string, string>): string {
  const lines = [`# next=${slots.next} end=${slots.end}`];
  for (const [backend, service] of servicesOf(slots, tcp)) lines.push(`${backend} ${service}`);
  return `${lines.join('\n')}\n`;
}

export function servicesOf(slots: Slots, tcp: ReadonlyMap<string, string>): Map<string, string> {
  const services = new Map<string, string>();
  for (const [service, slot] of slots.byService) services.set(backendOfSlot(slot), service);
  for (const [backend, service] of tcp) services.set(backend, service);
  return services;
}

/** Reads what `renderServicesMap` wrote; a text without its first line counts what it holds as given. */
export function parseSlots(text: string): Slots {
  const byService = new Map<string, number>();
  const head = text.match(/^# next=(\d+) end=(\d+)$/m);
  let highest = 0;
  for (const [, slot, service] of text.matchAll(/^b(\d+) (\S+)$/gm)) {
    byService.set(String(service), Number(slot));
    highest = Math.max(highest, Number(slot));
  }
  const next = Math.max(highest + 1, Number(head?.[1] ?? 1));
  return { byService, next, end: Number(head?.[2] ?? 0) };
}
