// Says hello, and which release and instance said it.

import { createServer } from 'node:http';
import { hostname } from 'node:os';

const port = Number(process.env.PORT ?? 8080);
const { GANTRY_APP = 'hello', GANTRY_RELEASE = 'unreleased', GANTRY_INSTANCE = hostname() } = process.env;

const server = createServer((request, response) => {
  response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.end(`Hello from ${GANTRY_APP}, release ${GANTRY_RELEASE}, instance ${GANTRY_INSTANCE}.\n`);
  console.log(`${request.method} ${request.url}`);
});
server.listen(port, () => console.log(`listening on port ${port}`));

// The router has stopped sending by now: answer what is under way, then leave.
process.once('SIGTERM', () => {
  console.log('SIGTERM: finishing');
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
