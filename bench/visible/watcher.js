// Runs inside a container of the benchmark's app: asks its DNS for one name over and over and says when an answer is another one.
// node watcher.js NAME; a line is `yes|no NANOSECONDS`: the name has an address or none, by the clock that all machines share.

const { createSocket } = require('node:dgram');
const { readFileSync } = require('node:fs');

const name = process.argv.at(-1);
const pauseMs = 2;
const patienceMs = 500;
const [, server] = /^nameserver (\S+)/m.exec(readFileSync('/etc/resolv.conf', 'utf8'));
const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]);
const socket = createSocket('udp4');
let id = 0;
let last;
let timer;

function ask() {
  clearTimeout(timer);
  timer = setTimeout(ask, patienceMs);
  id = (id + 1) % 65_536;
  const head = [id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
  socket.send(Buffer.from([...head, ...labels, 0, 0, 1, 0, 1]), 53, server);
}

socket.on('message', (answer) => {
  // An answer that was given up is none any more.
  if (answer.readUInt16BE(0) !== id) return;
  const heard = answer.readUInt16BE(6) > 0 ? 'yes' : 'no';
  if (heard !== last) process.stdout.write(`${heard} ${process.hrtime.bigint()}\n`);
  last = heard;
  clearTimeout(timer);
  timer = setTimeout(ask, pauseMs);
});
ask();
