// Machines that lose their power, their cable, the link to one other or their daemon, or whose clock is wrong, at random, under
// traffic: 30 rounds.

import type { Random } from '#core/random';
import {
  hasWrongClock,
  losesDaemon,
  losesLink,
  losesMachine,
  losesStoreHost,
  losesStoreHostCable,
  type Trial,
} from '../cluster/failures.ts';
import { pick, playRounds, type Round } from './rounds.ts';
import type { SoakOptions, SoakResult } from './soak.ts';

export function play({ count = 30, first }: SoakOptions): Promise<SoakResult> {
  return playRounds({ count, first }, choose);
}

function choose(random: Random): Round {
  const any = (trial: Trial) => pick(random, trial.bed.machines);
  const further = (trial: Trial) => pick(random, trial.others(trial.first));
  return pick<Round>(random, [
    { name: 'power', play: (trial) => losesMachine(trial, further(trial), 'power') },
    { name: 'cable', play: (trial) => losesMachine(trial, further(trial), 'cable') },
    { name: 'daemon', play: (trial) => losesDaemon(trial, any(trial)) },
    { name: 'store host', play: (trial) => losesStoreHost(trial) },
    { name: 'store host and another', play: (trial) => losesStoreHost(trial, [further(trial)]) },
    { name: 'clock ahead', play: (trial) => hasWrongClock(trial, any(trial), 300) },
    { name: 'clock behind', play: (trial) => hasWrongClock(trial, any(trial), -300) },
    { name: "store host's cable", play: losesStoreHostCable },
    {
      name: 'link',
      play: (trial) => {
        const one = further(trial);
        return losesLink(trial, one, pick(random, trial.others(one)));
      },
    },
  ]);
}
