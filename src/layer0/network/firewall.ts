// From an app's container only DNS and the router answer on this machine: the chain that says so, kept in place.
// iptables is of the flavour that holds Docker's own chains.

import { readFile } from 'node:fs/promises';
import type { Log } from '#core/log';
import {
  applyText,
  areHooksFirst,
  chainName,
  chainsOf,
  type Family,
  type FirewallConfig,
  type FirewallState,
  type FirewallWanted,
  parseRules,
  printedChains,
  refusedList,
  removeText,
} from './decide/rules.ts';
import { networkErrors } from './errors.ts';
import { type RunCommand, runCommand } from './run-command.ts';

export type { FirewallConfig } from './decide/rules.ts';

export interface Firewall {
  /**
   * Puts the rules in place if they are not; cheap when they are. `members`: addresses of the other machines of the cluster.
   * network.firewall when it cannot.
   */
  ensure(members?: readonly string[]): Promise<void>;
  /** Who was refused since the last look, by address: at most 100. */
  refused(): Promise<string[]>;
  /** Takes out what `ensure` put in. */
  remove(): Promise<void>;
  status(): Record<string, unknown>;
}

/** What the firewall needs of the machine it is on; tests have one of their own. */
export interface FirewallMachine {
  run: RunCommand;
  /** Names of the old flavour's tables that exist: listing one that does not would make it. */
  legacyTables(family: Family): Promise<string>;
  /** A list of addresses that the kernel keeps, as it prints it. */
  recent(list: string): Promise<string>;
}

export interface FirewallDeps {
  log: Log;
  machine?: FirewallMachine;
}

/** What a distribution may call it; the plain name may be either flavour. */
const flavours = ['-nft', '-legacy', ''];

export function createFirewall(deps: FirewallDeps, config: FirewallConfig): Firewall {
  return new IptablesFirewall(deps.machine ?? thisMachine, deps.log, config);
}

/** Removes the rules of a cluster whose daemon is gone. A machine without iptables has none. */
export async function removeFirewall(
  cluster: string,
  machine: FirewallMachine = thisMachine,
): Promise<void> {
  for (const flavour of flavours)
    for (const family of ['ipv4', 'ipv6'] as const) {
      const printed = await printRules(machine, { family, flavour });
      const text = removeText(parseRules(printed, cluster), cluster);
      if (text) await restore(machine.run, { family, flavour }, text);
    }
}

interface Program {
  family: Family;
  flavour: string;
}

class IptablesFirewall implements Firewall {
  readonly #machine: FirewallMachine;
  readonly #log: Log;
  readonly #config: FirewallConfig;
  /** The text that was applied, and how iptables prints the chains since, so that any later difference shows. */
  readonly #applied = new Map<Family, { text: string; printed: string }>();
  readonly #refusedBefore = new Map<string, string>();
  #flavour: string | undefined;
  #hasIpv6 = true;
  #remembers = true;
  #applications = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(machine: FirewallMachine, log: Log, config: FirewallConfig) {
    this.#machine = machine;
    this.#log = log;
    this.#config = config;
  }

  /** One at a time: what is read must still be so when it is changed. */
  ensure(members: readonly string[] = []): Promise<void> {
    const mine = this.#last.then(() => this.#ensure([...members].sort()));
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  async remove(): Promise<void> {
    this.#applied.clear();
    await removeFirewall(this.#config.cluster, this.#machine);
  }

  async refused(): Promise<string[]> {
    const text = await this.#machine.recent(refusedList(this.#config.cluster));
    const refused: string[] = [];
    for (const [, address = '', seen = ''] of text.matchAll(/^src=(\S+).* last_seen: (\d+)/gm)) {
      if (this.#refusedBefore.get(address) !== seen) refused.push(address);
      this.#refusedBefore.set(address, seen);
    }
    return refused;
  }

  status(): Record<string, unknown> {
    return {
      program: this.#flavour === undefined ? undefined : programOf('ipv4', this.#flavour),
      isInPlace: this.#applied.has('ipv4'),
      hasIpv6: this.#hasIpv6,
      applications: this.#applications,
    };
  }

  async #ensure(members: readonly string[]): Promise<void> {
    this.#flavour ??= await this.#findFlavour();
    await this.#ensureIpv4(members, { family: 'ipv4', flavour: this.#flavour });
    if (!this.#hasIpv6) return;
    try {
      await this.#ensureFamily([], { family: 'ipv6', flavour: this.#flavour });
    } catch (error) {
      this.#hasIpv6 = false;
      this.#log.info({ err: error }, 'no IPv6 firewall: this machine has no ip6tables');
    }
  }

  /** A kernel that cannot keep a list of who was refused refuses all the same. */
  async #ensureIpv4(members: readonly string[], program: Program): Promise<void> {
    try {
      await this.#ensureFamily(members, program);
    } catch (error) {
      if (!this.#remembers || this.#applied.has('ipv4')) throw error;
      this.#remembers = false;
      await this.#ensureFamily(members, program);
      this.#log.info({ err: error }, 'who is refused is not logged: this kernel keeps no lists');
    }
  }

  async #ensureFamily(members: readonly string[], program: Program): Promise<void> {
    const { family } = program;
    const wanted: FirewallWanted = {
      ...this.#config,
      family,
      members,
      remembers: this.#remembers,
    };
    const state = await this.#read(program);
    const applied = this.#applied.get(family);
    const text = JSON.stringify([...chainsOf(wanted)]);
    const areChainsRight = applied?.text === text && applied.printed === printedChains(state);
    if (areChainsRight && areHooksFirst(state, wanted)) return;
    this.#applications++;
    await restore(this.#machine.run, program, applyText(state, wanted));
    const after = await this.#read(program);
    if (!after.chains.has(chainName(this.#config.cluster)) || !areHooksFirst(after, wanted))
      throw networkErrors.firewall(
        `the firewall rules were given to ${programOf(program.family, program.flavour)} and are not there: something else on this machine removes them`,
      );
    this.#applied.set(family, { text, printed: printedChains(after) });
  }

  async #read({ family, flavour }: Program): Promise<FirewallState> {
    const printed = await attempt(this.#machine.run, programOf(family, flavour), ['-w', '-S']);
    return parseRules(printed, this.#config.cluster);
  }

  /** The flavour that Docker uses: rules of the other one are evaluated too, but may not be there at all. */
  async #findFlavour(): Promise<string> {
    const working: string[] = [];
    for (const flavour of flavours) {
      const printed = await printRules(this.#machine, { family: 'ipv4', flavour });
      if (printed.includes('-N DOCKER')) return flavour;
      if (printed) working.push(flavour);
    }
    const first = working[0];
    if (first !== undefined) return first;
    throw networkErrors.firewall('iptables does not work on this machine: install iptables');
  }
}

/** Empty when the program is not there or has no rules. */
async function printRules(machine: FirewallMachine, program: Program): Promise<string> {
  const { family, flavour } = program;
  if (flavour === '-legacy' && !(await machine.legacyTables(family)).includes('filter')) return '';
  return machine.run(programOf(family, flavour), ['-w', '-S']).catch(() => '');
}

function programOf(family: Family, flavour: string): string {
  return `${family === 'ipv4' ? 'iptables' : 'ip6tables'}${flavour}`;
}

async function restore(run: RunCommand, { family, flavour }: Program, text: string): Promise<void> {
  await attempt(run, `${programOf(family, flavour)}-restore`, ['-w', '--noflush'], text);
}

async function attempt(run: RunCommand, file: string, args: string[], input?: string) {
  try {
    return await run(file, args, input);
  } catch (cause) {
    const words = cause instanceof Error ? cause.message : String(cause);
    throw networkErrors.firewall(`${file} ${args.join(' ')} failed: ${words}`, { cause });
  }
}

const thisMachine: FirewallMachine = {
  run: runCommand,
  legacyTables: (family) =>
    readFile(`/proc/net/${family === 'ipv4' ? 'ip' : 'ip6'}_tables_names`, 'utf8').catch(() => ''),
  recent: (list) => readFile(`/proc/net/xt_recent/${list}`, 'utf8').catch(() => ''),
};
