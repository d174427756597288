// From "run this image" to its first HTTP 200 through the router, against the engine's own create and start of the same image.
// Needs the kept platform: `node test/cluster/run.ts --keep`.

import { resultOf } from './measure.ts';
import { openSession, type Session, untilFirst200 } from './platform/session.ts';
import type { BenchResult } from './result.ts';

const app = 'bench-image';

export async function run({ tiny }: { tiny: boolean }): Promise<BenchResult[]> {
  const session = await openSession();
  try {
    const image = await imageOfSample(session);
    const pairs = [];
    for (let pair = 0; pair < (tiny ? 1 : 9); pair++) {
      const peer = await raw(session, image);
      pairs.push({ ours: await ours(session, image), peer });
    }
    const target = '<= 1.5x create and start by hand';
    const peer = 'engine: create, start, first 200 on the container itself';
    return [
      resultOf({
        name: 'image to first 200',
        unit: 'ms',
        peer,
        target,
        pairs,
        isMet: ({ ratio }) => ratio <= 1.5,
      }),
    ];
  } finally {
    session.close();
  }
}

/** The image that the sample app runs. */
async function imageOfSample({ engine }: Session): Promise<string> {
  const filters = encodeURIComponent(
    JSON.stringify({ label: ['gantry.app-name=hello', 'gantry.type=web'] }),
  );
  const [container] = await engine<{ ImageID: string }[]>(
    'GET',
    `/containers/json?filters=${filters}`,
  );
  if (!container) throw new Error('the sample app does not run: run script/up without --bare');
  return container.ImageID;
}

/** A new app each time: nothing is there to be replaced. */
async function ours({ api, platform }: Session, image: string): Promise<number> {
  await api.json('POST', '/apps', { body: { name: app } });
  try {
    const start = performance.now();
    const deploying = api.json('POST', `/apps/${app}/deploy`, { body: { image } });
    const first = {
      address: platform.machine.address,
      port: 80,
      host: `${app}.gantry.localhost`,
      expects: 'Hello',
    };
    const took = await untilFirst200(start, first);
    await deploying;
    return took;
  } finally {
    await platform.deleteApp(app);
  }
}

async function raw({ engine, platform }: Session, image: string): Promise<number> {
  const start = performance.now();
  const body = {
    Image: image,
    Cmd: ['node server.js'],
    Env: ['PORT=8080'],
    ExposedPorts: { '8080/tcp': {} },
  };
  const HostConfig = { PortBindings: { '8080/tcp': [{ HostPort: '18080' }] }, Init: true };
  const { Id } = await engine<{ Id: string }>('POST', '/containers/create', {
    ...body,
    HostConfig,
  });
  try {
    await engine('POST', `/containers/${Id}/start`);
    return await untilFirst200(start, {
      address: platform.machine.address,
      port: 18080,
      host: 'raw',
      expects: 'Hello',
    });
  } finally {
    await engine('DELETE', `/containers/${Id}?force=true`);
  }
}
