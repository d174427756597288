// Does script/down leave the machine as it was before script/up? Everything of Gantry is gone, and what it did not make is not
// touched, not even an image that somebody built on one of Gantry's. The last file of a run: afterwards there is no platform.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { checkout, Platform } from './cluster/platform.ts';

const platform = Platform.connect();
const { machine } = platform;
/** Somebody's own, made on the machine beside Gantry. */
const [image, network, container] = ['somebody/thing:1', 'somebodys', 'somebodys-thing'];

before(async () => {
  await platform.untilAnswers('hello');
  await machine.must(`set -e
    printf 'FROM gantry/stack:latest\\nLABEL somebody=else\\n' | docker build -q -t ${image} -
    docker network create ${network}
    docker run -d --name ${container} --network ${network} ${image} sleep infinity
    mkdir -p /root/.config/other && echo kept >/root/.config/other/file
    iptables -N SOMEBODYS`);
});

after(async () => {
  await machine.sh(`docker rm -f ${container}; docker network rm ${network}; docker rmi ${image}
    rm -r /root/.config/other; iptables -X SOMEBODYS`);
});

test('without --yes and without a terminal, script/down removes nothing', async () => {
  const { code, stderr } = await machine.sh(`cd ${checkout} && script/down`);
  assert.equal(code, 2);
  assert.match(stderr, /say --yes/);
  await platform.untilAnswers('hello');
});

test('script/down removes all that Gantry made and nothing else', async () => {
  const id = await machine.must(`docker inspect -f '{{.Id}} {{.State.StartedAt}}' ${container}`);
  const said = await machine.must(`cd ${checkout} && script/down --yes`);
  assert.match(said, /Gantry is gone/);
  const list = async (command: string) =>
    (await machine.must(command)).split('\n').filter(Boolean).sort();
  assert.deepEqual(await list("docker ps -a --format '{{.Names}}'"), [container]);
  assert.deepEqual(await list("docker images --format '{{.Repository}}:{{.Tag}}'"), [image]);
  const networks = ['bridge', 'host', 'none', network];
  assert.deepEqual(await list("docker network ls --format '{{.Name}}'"), networks);
  assert.deepEqual(await list('iptables-save | grep -i gantry || true'), []);
  assert.deepEqual(await list('iptables-save | grep SOMEBODYS'), [':SOMEBODYS - [0:0]']);
  const skipped = ['/proc', '/sys', '/var/lib/docker', checkout, '/tmp'];
  const prune = skipped.map((path) => `-path ${path}`).join(' -o ');
  const files = `find / -xdev \\( ${prune} \\) -prune -o -iname '*gantry*' -print`;
  assert.deepEqual(await list(files), []);
  assert.equal((await machine.sh('ls /run/gantry')).code, 2);
  assert.equal(await machine.must('cat /root/.config/other/file'), 'kept\n');
  const same = await machine.must(`docker inspect -f '{{.Id}} {{.State.StartedAt}}' ${container}`);
  assert.equal(same, id);
});

test('script/down where there is no Gantry says so', async () => {
  assert.match(await machine.must(`cd ${checkout} && script/down --yes`), /nothing to remove/);
});
