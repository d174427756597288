// From `git push` of a trivial app to the first 200 of the new version, against the same steps by hand: git receive-pack into
// a bare repository, `docker build`, `docker run`. Needs the kept platform: `node test/cluster/run.ts --keep`.

import { sampleFiles } from '../test/cluster/platform.ts';
import { median, resultOf } from './measure.ts';
import { openSession, type Session, untilFirst200 } from './platform/session.ts';
import type { BenchResult } from './result.ts';

const app = 'bench-push';
const server = (version: string) =>
  `import { createServer } from 'node:http';
createServer((request, response) => response.end('${version}')).listen(process.env.PORT || 8080);
process.on('SIGTERM', () => process.exit(0));`;

export async function run({ tiny }: { tiny: boolean }): Promise<BenchResult[]> {
  const session = await openSession();
  const { platform } = session;
  try {
    await platform.push(app, await files('v0'));
    const pairs = [];
    for (let pair = 0; pair < (tiny ? 1 : 7); pair++) {
      const peer = await byHand(session, `hand-${pair}-${Date.now()}`);
      pairs.push({ ours: await ours(session, `push-${pair}-${Date.now()}`), peer });
    }
    const overhead = median(pairs.map(({ ours, peer }) => ours - peer));
    const result = resultOf({
      name: 'git push to first 200',
      unit: 'ms',
      peer: 'git push to a bare repository + docker build + docker run',
      target: '<= by hand + 1 s',
      pairs,
      isMet: () => overhead <= 1000,
      note: `median difference ${Math.round(overhead)} ms; warm caches; the push replaces a running version without a gap`,
    });
    return [result];
  } finally {
    await platform.deleteApp(app);
    await platform.machine.sh('docker rm -f bench-hand; rm -rf /tmp/bench-hand*');
    session.close();
  }
}

async function files(version: string): Promise<Record<string, string>> {
  const sample = await sampleFiles();
  return {
    'package.json': sample['package.json'] ?? '{}',
    'server.js': server(version),
    Procfile: 'web: node server.js\n',
  };
}

async function ours({ platform }: Session, version: string): Promise<number> {
  const text = Buffer.from(server(version)).toString('base64');
  await platform.machine.must(
    `cd /tmp/push-${app} && echo ${text} | base64 -d > server.js && git -c user.name=t -c user.email=t@localhost commit -qam ${version}`,
  );
  const start = performance.now();
  const pushing = platform.machine.must(`cd /tmp/push-${app} && git push -q gantry HEAD:main`);
  const first = {
    address: platform.machine.address,
    port: 80,
    host: `${app}.gantry.localhost`,
    expects: version,
  };
  const took = await untilFirst200(start, first);
  await pushing;
  return took;
}

async function byHand({ platform }: Session, version: string): Promise<number> {
  const text = Buffer.from(server(version)).toString('base64');
  await platform.machine.must(`mkdir -p /tmp/bench-hand && cd /tmp/bench-hand && { [ -d .git ] || git init -q -b main; }
[ -d ../bench-hand.git ] || git init -q --bare ../bench-hand.git
printf 'FROM gantry/stack\\nCOPY --chown=app . /app\\nCMD ["node server.js"]\\n' > Dockerfile
echo ${text} | base64 -d > server.js && git add . && git -c user.name=t -c user.email=t@localhost commit -qm ${version}`);
  const start = performance.now();
  await platform.machine.must(`cd /tmp/bench-hand && git push -q ../bench-hand.git main
git --git-dir ../bench-hand.git archive main | DOCKER_BUILDKIT=0 docker build -q -t bench-hand - >/dev/null
docker rm -f bench-hand >/dev/null 2>&1; docker run -d --init --name bench-hand -p 18081:8080 bench-hand >/dev/null`);
  const first = { address: platform.machine.address, port: 18081, host: 'raw', expects: version };
  return untilFirst200(start, first);
}
