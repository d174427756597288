// The story of `script/up`, from images to an answer. Every step looks first and changes only what differs.

import { systemClock } from '#core/clock';
import { silentLog } from '#core/log';
import { systemRandom } from '#core/random';
import { createHostClient } from '#layer0/host/client';
import { createRemoteStore, type Store } from '#layer0/store/client';
import {
  askForVersion,
  readProgress,
  type Wanted as WantedVersion,
  wantedKey,
} from '#layer0/upgrade/client';
import {
  type App,
  appKey,
  appNameKey,
  type KeptMark,
  keptImageKey,
  keptImagePrefix,
} from '#layer1/controller/wire';
import { run } from './command.ts';
import { runContainers } from './daemon.ts';
import { ensureRoutes } from './domain.ts';
import { ensureCertificate } from './ensure-certificate.ts';
import { bootstrapErrors } from './errors.ts';
import { ensureImages, imageId, type PlatformImages } from './images.ts';
import {
  applyPlan,
  observe,
  type Plan,
  planInstall,
  sealedInternalKey,
  type Wanted,
} from './install.ts';
import { bringMemberUp, joinMachine } from './join.ts';
import { takeLead } from './lead.ts';
import { chooseMachine, type Machine, readMachine, writeMachine } from './machine-file.ts';
import type { UpOptions } from './options.ts';
import type { Progress } from './progress.ts';
import { askSample, deploySample, sampleApp } from './sample.ts';
import { systemProcesses } from './system-app.ts';
import { bringKeys, inPlaceOf, readState, restoreState } from './takeover.ts';
import { ensureCliConfig, findPerson, installCommand } from './user.ts';
import { isLed, waitForApi, waitForCopy, waitForDeployment, waitForOthers } from './wait.ts';

export interface UpDeps {
  checkout: string;
  progress: Progress;
  env: Record<string, string | undefined>;
}

export async function up(options: UpOptions, deps: UpDeps): Promise<void> {
  const { checkout, progress } = deps;
  const { joinToken } = options;
  if (joinToken !== undefined) {
    await joinMachine({ ...options, joinToken }, progress);
    // What is done on the machine itself, like leaving, is a command; who uses it logs in.
    return installCommand(checkout);
  }
  const earlier = await readMachine(options.home);
  if (earlier && options.isLeading) await takeLead(earlier);
  else if (earlier?.storeHost !== undefined) return bringMemberUp(earlier, progress);
  const { restoreFile } = options;
  const backup = restoreFile === undefined ? undefined : await readState(restoreFile);
  if (backup && earlier)
    throw bootstrapErrors.option(
      `this machine has Gantry already (${options.home}/host.json): gantry cluster restore --takeover ${restoreFile} takes its state back`,
    );
  if (backup) await bringKeys(options.home, backup);
  const chosen = await chooseMachine(options);
  const machine = backup ? inPlaceOf(chosen, backup) : chosen;
  await writeMachine(machine);
  const images = await ensureImages(checkout, progress);
  const layer0 = await startLayer0(machine, images, progress);
  try {
    const caPem = await ensureCertificate(options, machine, layer0);
    await upgradeOthers(images, layer0, progress);
    await startSystemApp({ machine, images, layer0, progress });
    await installCommand(checkout);
    const person = await findPerson(deps.env);
    const trusted = machine.isTls ? caPem : undefined;
    const cluster = await ensureCliConfig(person, machine, layer0.store, trusted);
    await progress.step('waiting for the API', () => waitForApi(cluster));
    if (restoreFile !== undefined)
      await progress.step('taking over the state of the backup', () =>
        restoreState(cluster, restoreFile),
      );
    const known = await layer0.store.get<{ app: string }>(appNameKey(sampleApp));
    const sample = known && (await layer0.store.get<App>(appKey(known.value.app)))?.value;
    if (!options.isBare && !known && restoreFile === undefined)
      await deploySample({ checkout, machine, person, progress, env: deps.env });
    await sayWhatIsThere({
      machine,
      hasSample: known
        ? sample?.currentRelease !== undefined
        : !options.isBare && restoreFile === undefined,
      hasEmptySample: known !== undefined && sample?.currentRelease === undefined,
      progress,
      url: cluster.url,
    });
  } finally {
    await layer0.close();
  }
}

interface Layer0 {
  store: Store;
  host: ReturnType<typeof createHostClient>;
  close(): Promise<void>;
}

async function startLayer0(
  machine: Machine,
  images: PlatformImages,
  progress: Progress,
): Promise<Layer0> {
  const baseUrl = `unix:${machine.home}/run/host.sock`;
  const isNew = await progress.step('starting the host daemon and DNS', () =>
    runContainers(machine, images.system, images.version),
  );
  if (isNew)
    progress.line(`  host ${machine.name} (${machine.hostId}) runs version ${images.version}`);
  const heldUp = await waitForCopy(machine);
  if (heldUp !== undefined)
    progress.line(`  the etcd here follows to this version later: ${heldUp}`);
  const store = createRemoteStore({
    baseUrl,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  });
  const host = createHostClient({ baseUrl });
  const close = async () => {
    host.close();
    await store.close();
  };
  return { store, host, close };
}

/** Before the platform is deployed: its processes then find a daemon that is not older than they are on every machine. */
async function upgradeOthers(
  { base, stack, system: tag, version }: PlatformImages,
  { store, host }: Layer0,
  progress: Progress,
): Promise<void> {
  const image = await imageId(tag);
  await keepImages(store, [await imageId(base), await imageId(stack), image]);
  // From a registry each of them gets only the layers that it lacks.
  await host.spreadImage(image);
  const earlier = (await store.get<WantedVersion>(wantedKey))?.value;
  const isAsked = earlier?.version === version && earlier.image === image;
  const wanted =
    isAsked && (await readProgress(store, earlier)).failure === undefined
      ? earlier
      : await askForVersion(store, { version, image, tag }, systemClock);
  const { waiting, silent } = await readProgress(store, wanted);
  if (waiting.length > 0)
    await progress.step('bringing the other machines to this version', (detail) =>
      waitForOthers(store, wanted, detail),
    );
  for (const name of silent)
    progress.line(`  ${name} does not answer: it comes to this version when it is back`);
}

interface StartOptions {
  machine: Machine;
  images: PlatformImages;
  layer0: Layer0;
  progress: Progress;
}

async function startSystemApp({ machine, images, layer0, progress }: StartOptions): Promise<void> {
  const { store, host } = layer0;
  const [image, stackImage] = [await imageId(images.system), await imageId(images.stack)];
  const isThere = (await observe(store)).app !== undefined;
  // Taken for dead, a controller that is only about to lead again would have its formation replaced without any care.
  if (isThere && !(await isLed(store, 0)))
    await progress.step('waiting for a controller', () => isLed(store));
  const seen = await observe(store);
  const processes = systemProcesses({
    machine,
    image,
    stackImage,
    engineDataRoot: (await run('docker', ['info', '--format', '{{.DockerRootDir}}'])).trim(),
    sealedInternalKey: await sealedInternalKey(seen, host),
  });
  const current = seen.releases.find(({ id }) => id === seen.app?.currentRelease);
  if (seen.app) await ensureRoutes({ store, clock: systemClock }, current, machine);
  const wanted = { machine, processes, sourceVersion: images.version };
  const isDeployed = await carryOut(planInstall(seen, processes), wanted, { layer0, progress });
  // The second look sees that nobody leads, and puts the formation back.
  if (!isDeployed) {
    const now = planInstall(await observe(store), processes);
    await carryOut(now, wanted, { layer0, progress });
  }
}

/** False when a deployment was written and nobody is there to roll it out. */
async function carryOut(
  plan: Plan,
  wanted: Wanted,
  { layer0, progress }: Pick<StartOptions, 'layer0' | 'progress'>,
): Promise<boolean> {
  if (plan.kind === 'nothing') return true;
  const { store, host } = layer0;
  const titles = {
    install: 'starting the platform',
    deploy: 'deploying this version of the platform',
    restore: 'putting the platform back: no controller answers',
  };
  return progress.step(titles[plan.kind], async (detail) => {
    const { deployment } = await applyPlan(plan, wanted, { store, host, clock: systemClock });
    return deployment === undefined || waitForDeployment(store, deployment, detail);
  });
}

const keptFor = 'the platform';

/** The collector leaves these alone: no release names them, and yet they are needed. */
async function keepImages(store: Store, ids: string[]): Promise<void> {
  const marks = await store.list<KeptMark>(keptImagePrefix);
  const ours = marks.entries.filter(({ value }) => value.keptFor === keptFor).map(({ key }) => key);
  const wanted = ids.map(keptImageKey);
  const operations = [
    ...wanted.filter((key) => !ours.includes(key)).map((key) => ({ put: key, value: { keptFor } })),
    // Of earlier versions: what a release of app gantry still needs, the controller marks itself.
    ...ours.filter((key) => !wanted.includes(key)).map((key) => ({ delete: key })),
  ];
  if (operations.length > 0) await store.txn({ compare: [], operations });
}

interface Summary {
  machine: Machine;
  hasSample: boolean;
  /** The app is there and nothing was ever deployed: an earlier run broke off. */
  hasEmptySample: boolean;
  progress: Progress;
  url: string;
}

async function sayWhatIsThere(summary: Summary): Promise<void> {
  const { machine, hasSample, hasEmptySample, progress, url } = summary;
  const suffix = machine.httpPort === 80 ? '' : `:${machine.httpPort}`;
  progress.line('');
  progress.line(`Gantry is up. API: ${url}`);
  if (machine.httpPort !== 80 || machine.httpsPort !== 443)
    progress.line(
      `HTTP is on port ${machine.httpPort} and HTTPS on ${machine.httpsPort}: 80 and 443 were not both free, or others were asked for.`,
    );
  const chosen = Object.entries(machine.settings ?? {}).map(([name, value]) => `${name}=${value}`);
  if (chosen.length > 0)
    progress.line(`Set: ${chosen.join(' ')} (script/up --set NAME= takes one back)`);
  if (hasSample) {
    const said = await askSample(machine).then(
      (answer) => `answers: ${answer.split('\n')[0]?.slice(0, 120)}`,
      (error: Error) => `does not answer (${error.message}); see gantry ps -a ${sampleApp}`,
    );
    progress.line(`Sample app: http://${sampleApp}.${machine.domain}${suffix}/ ${said}`);
  }
  if (hasEmptySample)
    progress.line(
      `App ${sampleApp} has no code; to get the sample: gantry delete -a ${sampleApp} --yes, then script/up`,
    );
  progress.line('');
  progress.line('Next, in a repository of your own:');
  progress.line('  gantry create shop && git push gantry main');
  progress.line('  gantry ps -a shop; gantry log -f -a shop; gantry --help');
}
