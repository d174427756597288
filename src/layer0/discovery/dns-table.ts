// Keeps dns/table.json what it should be: the only writer of the file that gantry-dns serves.

import { readFileSync } from 'node:fs';
import type { Clock } from '#core/clock';
import type { Log } from '#core/log';
import type { Random } from '#core/random';
import { createMirror, type Mirror, type Store } from '#layer0/store/client';
import type { DiscoveryClient } from './client.ts';
import { dnsTable, parseResolvConf } from './decide/dns-table.ts';
import { createRenderer, type Renderer } from './render.ts';
import { type DnsListener, type RouterSuffixes, routerSuffixesKey } from './wire.ts';

export interface DnsTableDeps {
  discovery: DiscoveryClient;
  store: Store;
  /** Tells the listeners now and whenever they change; returns how to stop. The network component has them. */
  watchListeners(callback: (listeners: readonly DnsListener[]) => void): () => void;
  clock: Clock;
  random: Random;
  log: Log;
}

export interface DnsTableConfig {
  path: string;
  /** `gantry` in `web.shop.service.gantry`. */
  domain: string;
  /** Names under it, and under the suffixes that the store has, answer with the asking network's gateway. */
  routerSuffix: string;
  /** Where the machine's own resolvers are written down. */
  resolvConf?: string;
}

/** The machine's resolvers may change under us; nothing else is found by looking. */
const resyncMs = 10_000;

export function createDnsTable(deps: DnsTableDeps, config: DnsTableConfig): Renderer {
  const { discovery, store, clock, random, log } = deps;
  const resolvConf = config.resolvConf ?? '/etc/resolv.conf';
  let listeners: readonly DnsListener[] | undefined;
  let told: Mirror<RouterSuffixes> | undefined;
  return createRenderer(
    { clock, random, log },
    {
      path: config.path,
      resyncMs,
      watch(trigger) {
        const ended = new AbortController();
        const options = { clock, random, log, signal: ended.signal, onChange: trigger };
        told = createMirror<RouterSuffixes>(store, routerSuffixesKey, options);
        const stops = [
          () => ended.abort(),
          discovery.watchAll(trigger),
          deps.watchListeners((now) => {
            listeners = now;
            trigger();
          }),
        ];
        return () => {
          for (const stop of stops) stop();
        };
      },
      render() {
        const directory = discovery.directory();
        // Without the first list an empty table would take away names that are still good.
        if (!directory || !listeners || !told?.revision) return undefined;
        const { domain, routerSuffix } = config;
        const suffixes = told.get(routerSuffixesKey)?.value.suffixes ?? [];
        const routerSuffixes = [...new Set([routerSuffix, ...suffixes])];
        const upstreams = parseResolvConf(readFileSync(resolvConf, 'utf8'));
        const { services } = directory;
        return JSON.stringify(dnsTable({ domain, services, listeners, routerSuffixes, upstreams }));
      },
    },
  );
}
