// The builder's settings: limits of a build, and what it stands on.

import { numberSetting, type SettingsOf, textSetting } from '#core/config';

const mebibyte = 1024 * 1024;

export const builderSettings = {
  stackImage: textSetting({
    env: 'GANTRY_STACK_IMAGE',
    doc: 'The image that buildpacks run in and that apps run on.',
    fallback: 'gantry/stack',
  }),
  spoolFolder: textSetting({
    env: 'GANTRY_BUILD_SPOOL',
    doc: 'Where source waits while it is looked at, on the disk of the controller.',
    fallback: '/tmp',
  }),
  maxSourceBytes: numberSetting({
    env: 'GANTRY_BUILD_MAX_SOURCE_BYTES',
    doc: 'Largest source archive.',
    fallback: 512 * mebibyte,
    min: mebibyte,
    max: 1024 * 1024 * mebibyte,
  }),
  maxAppBytes: numberSetting({
    env: 'GANTRY_BUILD_MAX_APP_BYTES',
    doc: 'Largest app, built, without the stack below it.',
    fallback: 2048 * mebibyte,
    min: mebibyte,
    max: 1024 * 1024 * mebibyte,
  }),
  memoryBytes: numberSetting({
    env: 'GANTRY_BUILD_MEMORY_BYTES',
    doc: 'Memory of one build.',
    fallback: 1024 * mebibyte,
    min: 64 * mebibyte,
    max: 1024 * 1024 * mebibyte,
  }),
  cpuMillis: numberSetting({
    env: 'GANTRY_BUILD_CPU_MILLIS',
    doc: 'Share of the processor of one build; 1000 is one core.',
    fallback: 500,
    min: 1,
    max: 1_000_000,
  }),
  pids: numberSetting({
    env: 'GANTRY_BUILD_PIDS',
    doc: 'Most processes and threads of one build.',
    fallback: 1024,
    min: 16,
    max: 100_000,
  }),
};

export type BuilderConfig = SettingsOf<typeof builderSettings>;
