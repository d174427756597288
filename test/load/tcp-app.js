// The app that TCP load is put on: greets with its release and who it says is connected, then sends every line back. With
// PROXY=v2 a connection begins with that header; one without it is refused. On SIGTERM it lets every connection end. Like app.js
// it is run by `node -e`.

const { createServer } = require('node:net');

const release = process.env.GANTRY_RELEASE;
const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const headBytes = 16;
const isProxied = process.env.PROXY === 'v2';

const server = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => socket.destroy());
  socket.on('end', () => socket.end());
  if (!isProxied) return converse(socket, `${socket.remoteAddress} plainly`);
  let head = Buffer.alloc(0);
  const read = (data) => {
    head = Buffer.concat([head, data]);
    if (!signature.subarray(0, head.length).equals(head.subarray(0, signature.length)))
      return socket.end('refused: no PROXY header\n');
    if (head.length < headBytes || head.length < headBytes + head.readUInt16BE(14)) return;
    socket.off('data', read);
    const end = headBytes + head.readUInt16BE(14);
    converse(socket, describe(head.subarray(0, end)));
    if (head.length > end) socket.emit('data', head.subarray(end));
  };
  socket.on('data', read);
});

function describe(head) {
  const isCommand = head[12] === 0x21;
  const isTcp4 = head[13] === 0x11;
  if (!isCommand || !isTcp4) return `an address of kind ${head[12]}, ${head[13]}`;
  return `${[...head.subarray(16, 20)].join('.')}:${head.readUInt16BE(24)} by PROXY v2`;
}

function converse(socket, who) {
  socket.write(`${release} greets ${who}\n`);
  socket.on('data', (data) => socket.write(data));
}

process.once('SIGTERM', () => server.close(() => process.exit(0)));
server.listen(Number(process.env.PORT), () => console.log(`${release} listens`));
