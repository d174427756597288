// `gantry kill`

import type { Call } from '../command.ts';

export async function killProcess(call: Call): Promise<undefined> {
  const { out, args } = call;
  const { api, app } = await call.target();
  const [reference = ''] = args.words;
  const signal = signalName(args.text('signal') ?? 'TERM');
  const job = await api.killJob(app, reference, signal);
  out.line(
    job.type === 'run' || job.type === 'build'
      ? `${job.name} of ${app} is ended`
      : `${job.name} of ${app} got ${signal}; it is started again when it ends`,
  );
}

/** `kill`, `KILL` and `SIGKILL` are one. */
export function signalName(text: string): string {
  const name = text.toUpperCase();
  return name.startsWith('SIG') ? name : `SIG${name}`;
}
