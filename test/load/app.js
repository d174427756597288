// The app that load is put on: answers at once or slowly (?ms=), echoes WebSocket messages, and leaves like a well-made
// server: it ends what it has begun (with MANNERS=none it does not). It has no packages and no files, so that `node -e` can run it in any image.

const { createHash } = require('node:crypto');
const { createServer } = require('node:http');

const release = process.env.GANTRY_RELEASE;
if (process.env.BREAK === 'exit') {
  console.error('this release is broken');
  process.exit(7);
}
const sockets = new Set();
let isLeaving = false;

const server = createServer(async (request, response) => {
  const ms = Number(new URL(request.url, 'http://app').searchParams.get('ms') ?? 0);
  request.resume();
  response.setHeader('x-instance', release);
  response.setHeader('x-body', 'begin-end');
  if (isLeaving) response.setHeader('connection', 'close');
  if (ms > 0) {
    response.write('begin');
    await new Promise((resolve) => setTimeout(resolve, ms));
    response.end('-end');
  } else response.end('begin-end');
});
server.keepAliveTimeout = 5_000;

server.on('upgrade', (request, socket) => {
  sockets.add(socket);
  socket.on('close', () => sockets.delete(socket));
  socket.on('error', () => socket.destroy());
  const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const accept = createHash('sha1').update(key).digest('base64');
  const head = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${accept}`,
    `X-Instance: ${release}`,
  ];
  socket.write(`${head.join('\r\n')}\r\n\r\n`);
  let rest = Buffer.alloc(0);
  socket.on('data', (data) => {
    rest = Buffer.concat([rest, data]);
    for (let frame = takeFrame(); frame; frame = takeFrame()) answer(socket, frame);
  });
  /** Masked frames of fewer than 126 bytes: all that the load client sends. */
  function takeFrame() {
    const length = rest.length < 2 ? Infinity : rest[1] & 0x7f;
    if (rest.length < 6 + length) return undefined;
    const mask = rest.subarray(2, 6);
    const body = Buffer.from(rest.subarray(6, 6 + length).map((byte, at) => byte ^ mask[at % 4]));
    const frame = { code: rest[0] & 0x0f, body };
    rest = rest.subarray(6 + length);
    return frame;
  }
});

function answer(socket, { code, body }) {
  socket.write(Buffer.concat([Buffer.from([0x80 | code, body.length]), body]));
  if (code === 8) socket.end();
}

process.once('SIGTERM', () => {
  if (process.env.MANNERS === 'none') process.exit(0);
  isLeaving = true;
  server.close(leave);
  server.closeIdleConnections();
});
/** WebSockets are not the server's any more: it does not wait for them. */
function leave() {
  if (sockets.size === 0) process.exit(0);
  for (const socket of sockets) socket.once('close', leave);
}

server.listen(Number(process.env.PORT), () => console.log(`${release} listens`));
