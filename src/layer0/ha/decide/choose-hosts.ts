// Which machines get a copy of the store, and why cannot one of them?

import { neededBytes, wantedMembers } from '../config.ts';
import { haErrors } from '../errors.ts';
import type { Candidate } from '../wire.ts';

export interface Machine {
  hostId: string;
  name: string;
  address: string;
  /** Of its peer door. */
  port: number;
  /** Undefined: it did not answer. */
  candidate: Candidate | undefined;
}

export interface Choice {
  machines: readonly Machine[];
  /** This machine, which has the store; it is always among them. */
  self: string;
  version: string;
  /** Ids or names, when somebody said which. */
  named: readonly string[] | undefined;
}

/** Three that are fit, this one first. ha.tooFew or ha.unfit says what is in the way. */
export function chooseHosts({ machines, self, version, named }: Choice): Machine[] {
  if (named) return chooseNamed({ machines, self, version, named });
  const fit = machines.filter((machine) => refusal(machine, version) === undefined);
  const [own] = fit.filter(({ hostId }) => hostId === self);
  const others = fit.filter(({ hostId }) => hostId !== self).sort(byName);
  const chosen = own ? [own, ...others].slice(0, wantedMembers) : [];
  if (chosen.length === wantedMembers) return chosen;
  const reasons = machines.flatMap((machine) => refusal(machine, version) ?? []);
  const why = reasons.length > 0 ? `: ${reasons.join('; ')}` : '';
  throw haErrors.tooFew(
    `the store on etcd needs ${wantedMembers} machines that are up, and ${fit.length} of ${machines.length} are fit${why}`,
  );
}

function chooseNamed(choice: Choice & { named: readonly string[] }): Machine[] {
  const { machines, self, version, named } = choice;
  const chosen = named.map((wanted) => {
    const found = machines.find(({ hostId, name }) => hostId === wanted || name === wanted);
    if (found) return found;
    throw haErrors.unfit(`${wanted} is no machine of this cluster; gantry host list shows them`);
  });
  if (new Set(chosen).size !== wantedMembers || chosen.length !== wantedMembers)
    throw haErrors.tooFew(`name ${wantedMembers} different machines, not ${named.join(', ')}`);
  const own = chosen.find(({ hostId }) => hostId === self);
  if (!own) {
    const { name = self } = machines.find(({ hostId }) => hostId === self) ?? {};
    throw haErrors.unfit(`${name} has the store now and must be one of the machines`);
  }
  const reasons = chosen.flatMap((machine) => refusal(machine, version) ?? []);
  if (reasons.length > 0) throw haErrors.unfit(`the store is not moved: ${reasons.join('; ')}`);
  return [own, ...chosen.filter((machine) => machine !== own)];
}

function refusal({ name, candidate }: Machine, version: string): string | undefined {
  if (!candidate) return `${name} does not answer`;
  if (candidate.version !== version)
    return `${name} runs version ${candidate.version} and the store's machine ${version}: run script/up there first`;
  if (candidate.freeBytes < neededBytes)
    return `${name} has ${gib(candidate.freeBytes)} GiB free and needs ${gib(neededBytes)}`;
  return undefined;
}

const gib = (bytes: number): string => (bytes / 1024 ** 3).toFixed(1);
const byName = (a: Machine, b: Machine): number => (a.name < b.name ? -1 : 1);
