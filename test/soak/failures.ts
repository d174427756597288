// Machines that lose their power, their cable, the link to one other or their daemon, or whose clock is wrong, at random, under
// traffic: 30 rounds.

import type { Random } from '#core/random';
import {
  hasWrongClock,
  losesDaemon,
  losesLink,
  losesMachine,
  losesStore,
  losesStoreHostCable,
} from '../cluster/failures.ts';
import type { Machine } from '../cluster/machine.ts';
import type { Trial } from '../cluster/trial.ts';
import { pick, playRounds, type Round, shuffle } from './rounds.ts';
import type { SoakOptions, SoakResult } from './soak.ts';

export function play({ count = 30, ...options }: SoakOptions): Promise<SoakResult> {
  return playRounds({ count, ...options }, (random) => {
    const any = (trial: Trial) => pick(random, trial.bed.machines);
    const rounds = options.isOnEtcd ? onEtcd(random) : onOneMachine(random);
    return pick(random, [
      ...rounds,
      { name: 'daemon', play: (trial) => losesDaemon(trial, any(trial)) },
      { name: 'clock ahead', play: (trial) => hasWrongClock(trial, any(trial), 300) },
      { name: 'clock behind', play: (trial) => hasWrongClock(trial, any(trial), -300) },
    ]);
  });
}

/** The first machine has the store: without it nothing is decided. */
function onOneMachine(random: Random): Round[] {
  const further = (trial: Trial) => pick(random, trial.others(trial.first));
  return [
    { name: 'power', play: (trial) => losesMachine(trial, further(trial), 'power') },
    { name: 'cable', play: (trial) => losesMachine(trial, further(trial), 'cable') },
    { name: "store host's power", play: (trial) => losesStore(trial, [trial.first]) },
    {
      name: "store host's power and another one's",
      play: (trial) => losesStore(trial, [trial.first, further(trial)]),
    },
    { name: "store host's cable", play: losesStoreHostCable },
    {
      name: 'link',
      play: (trial) => losesLink(trial, ...twoOf(random, trial.others(trial.first))),
    },
  ];
}

/** Any two machines go on deciding without the third. */
function onEtcd(random: Random): Round[] {
  const any = (trial: Trial) => pick(random, trial.bed.machines);
  const two = (trial: Trial) => twoOf(random, trial.bed.machines);
  return [
    { name: 'power', play: (trial) => losesMachine(trial, any(trial), 'power') },
    { name: 'cable', play: (trial) => losesMachine(trial, any(trial), 'cable') },
    { name: "two machines' power", play: (trial) => losesStore(trial, two(trial)) },
    { name: 'link', play: (trial) => losesLink(trial, ...two(trial)) },
  ];
}

function twoOf(random: Random, machines: readonly Machine[]): [Machine, Machine] {
  const [one, other] = shuffle(random, machines);
  if (!one || !other) throw new Error('there are not two machines');
  return [one, other];
}
