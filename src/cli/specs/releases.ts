// Commands about code: deploying it, what was released, and how rollouts went.

import type { CommandSpec } from '../command.ts';
import { waitOption } from './shared.ts';

export const releaseCommands = [
  {
    name: 'deploy',
    group: 'Releases',
    summary: 'Deploy an image, or the content of a release once more',
    app: 'found',
    options: {
      image: {
        value: 'REF',
        doc: "an image of the cluster's engine, or - for a `docker save` stream on stdin",
      },
      release: { value: 'VERSION', doc: 'a release of the app, like v6' },
      message: { short: 'm', value: 'TEXT', doc: 'what the list of releases says' },
      port: {
        value: 'PORT',
        doc: "the port that web listens on; else the image's EXPOSE, else PORT",
      },
      ...waitOption,
    },
    details:
      'Code is deployed with `git push gantry main`. With --no-wait the rollout\ngoes on by itself.',
    examples: [
      'gantry deploy -a shop --image acme/shop:42',
      'docker save acme/shop:42 | gantry deploy -a shop --image -',
      'gantry deploy --release v6',
    ],
  },
  {
    name: 'release',
    aliases: ['releases', 'release:list'],
    group: 'Releases',
    summary: 'List the releases of an app, the newest first',
    app: 'found',
    isRead: true,
    options: { number: { short: 'n', value: 'N', doc: 'how many; 20 unless said' } },
    examples: ['gantry release'],
  },
  {
    name: 'release show',
    aliases: ['releases:info', 'releases:show'],
    group: 'Releases',
    summary: 'Show one release',
    usage: 'VERSION',
    takes: [1, 1],
    app: 'found',
    isRead: true,
    examples: ['gantry release show v6'],
  },
  {
    name: 'release rollback',
    aliases: ['releases:rollback', 'rollback'],
    group: 'Releases',
    summary: 'Go back to the last good release, or to the one named: a new release, rolled out',
    usage: '[VERSION]',
    takes: [0, 1],
    app: 'found',
    options: waitOption,
    examples: ['gantry release rollback', 'gantry release rollback v4'],
  },
  {
    name: 'deployment',
    aliases: ['deployments', 'deployment:list'],
    group: 'Releases',
    summary: 'List the rollouts of an app, the newest first, and why those that failed did',
    app: 'found',
    isRead: true,
    examples: ['gantry deployment'],
  },
  {
    name: 'deployment show',
    aliases: ['deployments:info', 'deployments:show'],
    group: 'Releases',
    summary: 'Show one rollout; without an id, the newest',
    usage: '[ID]',
    takes: [0, 1],
    app: 'found',
    isRead: true,
    options: { follow: { short: 'f', doc: 'go on until it has ended' } },
    examples: ['gantry deployment show -f'],
  },
  {
    name: 'strategy',
    aliases: ['deployment:strategy'],
    group: 'Releases',
    summary: 'Set how releases replace one another; without an argument, show it',
    usage: '[rolling | one-by-one | in-batches=N | all-at-once]',
    takes: [0, 1],
    app: 'found',
    isRead: true,
    details:
      'rolling (the default) starts one, waits until it is healthy, and stops an old one; then it goes\non with a quarter of all at a time. one-by-one and in-batches do it with one or N at a time;\nall-at-once with all, and needs room for twice as many. None stops a healthy process before\nits successor is healthy.',
    examples: ['gantry strategy', 'gantry strategy in-batches=3'],
  },
] as const satisfies readonly CommandSpec[];
