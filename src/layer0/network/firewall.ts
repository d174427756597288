// From an app's container only DNS and the router answer on this machine: the chain that says so, kept in place.
// iptables is of the flavour that holds Docker's own chains.

import { readFile } from 'node:fs/promises';
import type { Log } from '#core/log';
import {
  applyText,
  areHooksFirst,
  type Family,
  type FirewallConfig,
  type FirewallState,
  parseRules,
  removeText,
} from './decide/rules.ts';
import { networkErrors } from './errors.ts';
import { type RunCommand, runCommand } from './run-command.ts';

export type { FirewallConfig } from './decide/rules.ts';

export interface Firewall {
  /** Puts the rules in place if they are not; cheap when they are. network.firewall when it cannot. */
  ensure(): Promise<void>;
  /** Takes out what `ensure` put in. */
  remove(): Promise<void>;
  status(): Record<string, unknown>;
}

/** What the firewall needs of the machine it is on; tests have one of their own. */
export interface FirewallMachine {
  run: RunCommand;
  /** Names of the old flavour's tables that exist: listing one that does not would make it. */
  legacyTables(family: Family): Promise<string>;
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
  /** How iptables prints the chain that was applied, so that any later difference shows. */
  readonly #applied = new Map<Family, string>();
  #flavour: string | undefined;
  #hasIpv6 = true;
  #applications = 0;
  #ensuring: Promise<void> | undefined;

  constructor(machine: FirewallMachine, log: Log, config: FirewallConfig) {
    this.#machine = machine;
    this.#log = log;
    this.#config = config;
  }

  ensure(): Promise<void> {
    this.#ensuring ??= this.#ensure().finally(() => {
      this.#ensuring = undefined;
    });
    return this.#ensuring;
  }

  async remove(): Promise<void> {
    this.#applied.clear();
    await removeFirewall(this.#config.cluster, this.#machine);
  }

  status(): Record<string, unknown> {
    return {
      program: this.#flavour === undefined ? undefined : programOf('ipv4', this.#flavour),
      isInPlace: this.#applied.has('ipv4'),
      hasIpv6: this.#hasIpv6,
      applications: this.#applications,
    };
  }

  async #ensure(): Promise<void> {
    this.#flavour ??= await this.#findFlavour();
    await this.#ensureFamily({ family: 'ipv4', flavour: this.#flavour });
    if (!this.#hasIpv6) return;
    try {
      await this.#ensureFamily({ family: 'ipv6', flavour: this.#flavour });
    } catch (error) {
      this.#hasIpv6 = false;
      this.#log.info({ err: error }, 'no IPv6 firewall: this machine has no ip6tables');
    }
  }

  async #ensureFamily(program: Program): Promise<void> {
    const state = await this.#read(program);
    const isChainRight =
      state.chain !== undefined && this.#applied.get(program.family) === state.chain.join('\n');
    if (isChainRight && areHooksFirst(state, this.#config)) return;
    this.#applications++;
    await restore(this.#machine.run, program, applyText(state, this.#config, program.family));
    const after = await this.#read(program);
    if (!after.chain || !areHooksFirst(after, this.#config))
      throw networkErrors.firewall(
        `the firewall rules were given to ${programOf(program.family, program.flavour)} and are not there: something else on this machine removes them`,
      );
    this.#applied.set(program.family, after.chain.join('\n'));
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
};
