// What code inside an app or a build can see and reach. Run with a JSON of what to try, it prints what it found; as an app's
// process (no argument) it answers the same over HTTP. Plain JavaScript without packages: it runs wherever node does.

const { connect } = require('node:net');
const { lookup } = require('node:dns/promises');
const { createServer } = require('node:http');
const { existsSync, readFileSync } = require('node:fs');

const timeoutMs = 2_000;

/** 'open', or why not. */
function dial(host, port) {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (word) => {
      socket.destroy();
      resolve(word);
    };
    socket.setTimeout(timeoutMs, () => end('timeout'));
    socket.once('connect', () => end('open')).once('error', (error) => end(error.code ?? 'error'));
  });
}

async function report({ addresses = [], ports = [], names = [], paths = [] }) {
  const dialled = addresses.flatMap((address) =>
    ports.map(async (port) => [`${address}:${port}`, await dial(address, port)]),
  );
  const resolved = names.map(async (name) => [
    name,
    await lookup(name, { all: true, family: 4 }).then(
      (found) => found.map(({ address }) => address),
      () => [],
    ),
  ]);
  const status = readFileSync('/proc/self/status', 'utf8');
  const field = (name) => status.match(new RegExp(`^${name}:\\s*(\\S+)`, 'm'))?.[1];
  return {
    uid: process.getuid(),
    capabilities: field('CapEff'),
    bounding: field('CapBnd'),
    noNewPrivileges: field('NoNewPrivs'),
    env: process.env,
    mounts: readFileSync('/proc/self/mountinfo', 'utf8'),
    dialled: Object.fromEntries(await Promise.all(dialled)),
    resolved: Object.fromEntries(await Promise.all(resolved)),
    existing: paths.filter((path) => existsSync(path)),
  };
}

const given = process.argv[2];
if (given)
  void report(JSON.parse(given)).then((found) => console.log('PROBE', JSON.stringify(found)));
else
  createServer(async (request, response) => {
    const query = decodeURIComponent(new URL(request.url, 'http://app').search.slice(1));
    response.end(JSON.stringify(await report(JSON.parse(query || '{}'))));
  }).listen(process.env.PORT ?? 8080);
