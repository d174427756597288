// The pre-receive hook: tells the receiver which refs a push wants to change, prints what it answers, and ends with its verdict.
// Runs once for each push, so it loads nothing but what Node has.

import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';

/** What git sets so that the new objects are found before they are accepted. */
const objectVariables = [
  'GIT_OBJECT_DIRECTORY',
  'GIT_ALTERNATE_OBJECT_DIRECTORIES',
  'GIT_QUARANTINE_PATH',
  'GIT_SHALLOW_FILE',
];

const { GANTRY_PUSH_SOCKET: socketPath, GANTRY_PUSH_SECRET: secret, ...env } = process.env;
const updates = (await text(process.stdin))
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => {
    const [oldId, newId, ref] = line.split(' ');
    return { oldId, newId, ref };
  });
const objectEnv = Object.fromEntries(
  objectVariables.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])),
);

process.exitCode = 1;
const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' };
const call = request({ method: 'POST', socketPath, path: '/pre-receive', headers });
call.on('error', (error) => {
  console.log(
    ` !     Gantry's git receiver went away: ${error.message}. Nothing was accepted; push again.`,
  );
});
call.on('response', (response) => {
  if (response.statusCode !== 200)
    return void text(response).then((body) => console.log(` !     The push was refused: ${body}`));
  createInterface({ input: response }).on('line', (line) => {
    if (line === '') return;
    const value = JSON.parse(line) as { text?: string; isAccepted?: boolean };
    if (value.text !== undefined) console.log(value.text);
    if (value.isAccepted) process.exitCode = 0;
  });
});
call.end(JSON.stringify({ updates, objectEnv }));
