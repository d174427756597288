// The controller's settings.

import { numberSetting, type SettingsOf, textSetting } from '#core/config';
import { tcpPorts } from '#layer1/router/wire';

export const controllerSettings = {
  port: numberSetting({
    env: 'PORT',
    doc: 'Where the management API listens, on 127.0.0.1; the host agent chooses it. 0 lets the system choose.',
    min: 0,
    max: 65_535,
  }),
  hostUrl: textSetting({
    env: 'GANTRY_HOST_URL',
    doc: 'Where layer 0 answers: `unix:/var/lib/gantry/run/host.sock`.',
  }),
  hostId: textSetting({
    env: 'GANTRY_HOST_ID',
    doc: 'Which host this is; the host agent says it.',
  }),
  internalKey: textSetting({
    env: 'GANTRY_INTERNAL_KEY',
    doc: 'The bearer token by which system processes know one another.',
  }),
  domain: textSetting({
    env: 'GANTRY_DOMAIN',
    doc: 'Apps are at `<app>.<domain>`, the API and git beside them.',
    fallback: 'gantry.localhost',
  }),
  httpPort: numberSetting({
    env: 'GANTRY_HTTP_PORT',
    doc: 'The port the router takes HTTP on: part of the URLs that people are shown.',
    fallback: 80,
    min: 1,
    max: 65_535,
  }),
  httpsPort: numberSetting({
    env: 'GANTRY_HTTPS_PORT',
    doc: 'The port the router takes HTTPS on; no TCP route can have it.',
    fallback: 443,
    min: 1,
    max: 65_535,
  }),
  tcpPortMin: numberSetting({
    env: 'GANTRY_TCP_PORT_MIN',
    doc: 'First port that a TCP route may listen on.',
    fallback: tcpPorts.min,
    min: 1,
    max: 65_535,
  }),
  tcpPortMax: numberSetting({
    env: 'GANTRY_TCP_PORT_MAX',
    doc: 'Last port that a TCP route may listen on.',
    fallback: tcpPorts.max,
    min: 1,
    max: 65_535,
  }),
  scheme: textSetting({
    env: 'GANTRY_SCHEME',
    doc: 'Of the URLs that people are shown: `http`, or `https` when a domain was given.',
    fallback: 'http',
  }),
  deploySlackMs: numberSetting({
    env: 'GANTRY_DEPLOY_SLACK_MS',
    doc: "Added to a process's own time to become healthy before a deployment without progress is rolled back.",
    fallback: 30_000,
    min: 100,
    max: 3_600_000,
  }),
  deploySteadyMs: numberSetting({
    env: 'GANTRY_DEPLOY_STEADY_MS',
    doc: 'How long a new instance must have been healthy without a break before a deployment builds on it. Requests reach it at once.',
    fallback: 1_000,
    min: 0,
    max: 600_000,
  }),
  buildTimeoutMs: numberSetting({
    env: 'GANTRY_BUILD_TIMEOUT_MS',
    doc: 'Longest time for one build.',
    fallback: 900_000,
    min: 1_000,
    max: 86_400_000,
  }),
  callsPerSecond: numberSetting({
    env: 'GANTRY_API_CALLS_PER_SECOND',
    doc: 'Calls of the management API that one token may make in the long run. A build or an image counts as 25, a stream as one.',
    fallback: 100,
    min: 1,
    max: 1_000_000,
  }),
  callsAtOnce: numberSetting({
    env: 'GANTRY_API_CALLS_AT_ONCE',
    doc: 'Calls that one token may make at once, after a pause.',
    fallback: 500,
    min: 1,
    max: 1_000_000,
  }),
  electionTtlMs: numberSetting({
    env: 'GANTRY_CONTROLLER_ELECTION_TTL_MS',
    doc: 'How long the claim of a dead controller leader lasts.',
    fallback: 5_000,
    min: 1_000,
    max: 60_000,
  }),
};

export type ControllerConfig = SettingsOf<typeof controllerSettings>;
