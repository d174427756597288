// The options of script/up and script/down, as people type them.

import { parseArgs } from 'node:util';
import { bootstrapErrors } from './errors.ts';
import { type ChosenSettings, parseSetting } from './settings.ts';

export interface UpOptions {
  home: string;
  isBare: boolean;
  /** Join the cluster that this token is of, instead of being one. */
  joinToken?: string;
  /** Lead upgrades in the place of a machine that is gone for good. */
  isLeading?: true;
  /** A backup whose state this fresh machine takes over. */
  restoreFile?: string;
  /** Where the other machines reach this one. */
  address?: string;
  /** Absent: what an earlier run chose, or the default. */
  domain?: string;
  httpPort?: number;
  httpsPort?: number;
  certificateFile?: string;
  keyFile?: string;
  /** Of the authority that signed it, where machines do not know that one. */
  caFile?: string;
  /** An empty value is the default again. */
  settings?: ChosenSettings;
}

export const upHelp = `Usage: script/up [options]

Brings Gantry up on this machine, or up to this checkout's version. Nothing that runs is disturbed.

  --bare                leave the sample app out
  --join TOKEN          make this machine one more of a cluster; gantry host join-token prints one there
  --lead                on a machine that joined: lead upgrades, when the one that did is gone for good and removed
  --restore FILE        on a fresh machine: take a lost cluster over from a backup; see docs/how-to/three-machines.md
  --address ADDRESS     where other machines reach this one (default: the first address that is not loopback)
  --domain NAME         serve API, git and apps under NAME over HTTPS, for other machines too (default: gantry.localhost)
  --cert FILE           with --domain: certificate chain for NAME and *.NAME, PEM (default: one of Gantry's own authority)
  --key FILE            with --cert: its private key, PEM
  --ca FILE             with --cert: the authority that signed it, PEM, when other machines do not know it by themselves
  --http-port PORT      (default: 80 when free, else the next free one from 8080)
  --https-port PORT     (default: 443 when free, else the next free one from 8443)
  --set NAME=VALUE      a setting of Gantry's own processes, like GANTRY_BUILD_TIMEOUT_MS=600000; NAME= takes it back;
                        may be given again; docs/configuration.md lists them
  --home FOLDER         where everything is kept (default: /var/lib/gantry)
  --help                this text
`;

export const downHelp = `Usage: script/down [options]

Removes everything Gantry made on this machine, apps and their data included. Docker stays.

  --yes                 do not ask
  --home FOLDER         where everything is kept (default: /var/lib/gantry)
  --help                this text
`;

const domainPattern =
  /^(?=.{1,200}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])$/;

/** Undefined when help was asked for. */
export function parseUp(args: string[]): UpOptions | undefined {
  const { values } = parse(args, {
    bare: { type: 'boolean' },
    join: { type: 'string' },
    lead: { type: 'boolean' },
    restore: { type: 'string' },
    address: { type: 'string' },
    domain: { type: 'string' },
    cert: { type: 'string' },
    key: { type: 'string' },
    ca: { type: 'string' },
    'http-port': { type: 'string' },
    'https-port': { type: 'string' },
    set: { type: 'string', multiple: true },
    home: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  });
  if (values.help) return undefined;
  const text = (name: string) => (typeof values[name] === 'string' ? values[name] : undefined);
  const domain = text('domain')?.toLowerCase();
  if (domain !== undefined && !domainPattern.test(domain)) {
    throw bootstrapErrors.option(`--domain ${domain} is not a domain name like apps.example.com`);
  }
  const [certificateFile, keyFile] = [text('cert'), text('key')];
  if ((certificateFile === undefined) !== (keyFile === undefined)) {
    throw bootstrapErrors.option('--cert and --key go together');
  }
  const caFile = text('ca');
  if (caFile !== undefined && certificateFile === undefined) {
    throw bootstrapErrors.option('--ca is the authority of --cert: give that one too');
  }
  const [joinToken, address] = [text('join'), text('address')];
  const restoreFile = text('restore');
  if (joinToken !== undefined && restoreFile !== undefined)
    throw bootstrapErrors.option(
      '--join and --restore do not go together: one machine takes the cluster over, the others join',
    );
  const httpPort = parsePort('--http-port', text('http-port'));
  const httpsPort = parsePort('--https-port', text('https-port'));
  return {
    home: text('home') ?? '/var/lib/gantry',
    isBare: values.bare === true,
    ...(joinToken === undefined ? {} : { joinToken }),
    ...(values.lead === true ? { isLeading: true as const } : {}),
    ...(restoreFile === undefined ? {} : { restoreFile }),
    ...(address === undefined ? {} : { address }),
    ...(domain ? { domain } : {}),
    ...(httpPort ? { httpPort } : {}),
    ...(httpsPort ? { httpsPort } : {}),
    ...(certificateFile && keyFile ? { certificateFile, keyFile } : {}),
    ...(caFile ? { caFile } : {}),
    ...(Array.isArray(values.set)
      ? { settings: Object.fromEntries(values.set.map(parseSetting)) }
      : {}),
  };
}

export function parseDown(args: string[]): { home: string; isYes: boolean } | undefined {
  const { values } = parse(args, {
    yes: { type: 'boolean' },
    home: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  });
  if (values.help) return undefined;
  return {
    home: typeof values.home === 'string' ? values.home : '/var/lib/gantry',
    isYes: values.yes === true,
  };
}

function parsePort(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw bootstrapErrors.option(`${name} ${text} is not a port from 1 to 65535`);
}

type ArgumentOptions = NonNullable<Parameters<typeof parseArgs>[0]>['options'];

function parse(args: string[], options: NonNullable<ArgumentOptions>) {
  try {
    return parseArgs({ args, options, allowPositionals: false }) as {
      values: Record<string, string | string[] | boolean | undefined>;
    };
  } catch (cause) {
    const text = cause instanceof Error ? cause.message.split('.')[0] : String(cause);
    throw bootstrapErrors.option(`${text}; see --help`, { cause });
  }
}
