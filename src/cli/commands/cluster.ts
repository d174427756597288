// `gantry cluster status`: the whole cluster on one screen. Ends with 1 when something of it asks for a look.

import type { ClusterView } from '#layer1/controller/client';
import type { Call } from '../command.ts';
import type { Output } from '../output.ts';
import { stateColour } from '../paint.ts';
import type { Cell } from '../table.ts';
import { agoText, durationText, sizeText } from '../units.ts';

/** A clock that is less off than this is not worth a word. */
const clockWordMs = 1_000;

export async function showCluster(call: Call): Promise<number | undefined> {
  const { out, args } = call;
  const { api } = await call.connect();
  const view = await api.readCluster();
  const isWell = looksWell(view);
  if (args.has('json')) out.json(view);
  else {
    showMachines(out, view);
    showStore(out, view);
    showTroubles(out, view);
    if (isWell) out.line('Nothing waits, and nothing runs in too few copies.');
  }
  return isWell ? undefined : 1;
}

function looksWell({ machines, store, ...view }: ClusterView): boolean {
  const lists = [view.pending, view.short, view.certificates, view.versions.slice(1)];
  const isUp = machines.every(({ state }) => state !== 'silent');
  const isStoreWell = store.isAnswering && (store.health ?? 'healthy') === 'healthy';
  return isUp && isStoreWell && lists.every(({ length }) => length === 0);
}

function showMachines(out: Output, { machines }: ClusterView): void {
  out.table(
    ['MACHINE', 'STATE', 'ADDRESS', 'ROLE', 'JOBS', 'DISK FREE', 'VERSION', ''],
    machines.map((machine) => [
      machine.name,
      stateCell(machine),
      machine.address,
      machine.roles.join(', '),
      machine.jobs === undefined ? '' : String(machine.jobs),
      machine.diskFreeBytes === undefined ? '' : sizeText(machine.diskFreeBytes),
      machine.version ?? '',
      [...clockWord(machine), ...(machine.reason === undefined ? [] : [machine.reason])].join('; '),
    ]),
  );
}

function stateCell({ state, silentForMs, isDrained }: ClusterView['machines'][number]): Cell {
  const since = silentForMs === undefined ? '' : ` for ${durationText(silentForMs)}`;
  const text = `${state}${since}${isDrained ? ', drained' : ''}`;
  return { text, colour: state === 'silent' ? 'red' : stateColour(state) };
}

function clockWord({ clockAheadMs = 0 }: ClusterView['machines'][number]): string[] {
  if (Math.abs(clockAheadMs) < clockWordMs) return [];
  const by = durationText(Math.abs(clockAheadMs));
  return [`its clock is ${by} ${clockAheadMs > 0 ? 'ahead' : 'behind'}`];
}

function showStore(out: Output, { store, scheduler }: ClusterView): void {
  const { leader, commits, conflicts } = scheduler;
  out.line('');
  out.facts([
    ['Store', { text: store.message, colour: store.isAnswering ? undefined : 'red' }],
    ['Members', store.members?.join(', ') ?? ''],
    [
      'Scheduler',
      leader === undefined ? { text: 'nobody leads', colour: 'red' } : `led by ${leader}`,
    ],
    ['', `${commits} commits, ${conflicts} decided again`],
  ]);
  out.line('');
}

function showTroubles(out: Output, view: ClusterView): void {
  const { pending, short, certificates, versions, at } = view;
  if (short.length > 0) {
    out.table(
      ['RUNS IN TOO FEW COPIES', 'HEALTHY', 'RELEASE', 'REASON'],
      short.map(({ app, type, healthy, wanted, version, reason = '' }) => [
        `${type} of ${app}`,
        { text: `${healthy} of ${wanted}`, colour: 'red' },
        `v${version}`,
        reason,
      ]),
    );
    out.line('');
  }
  if (pending.length > 0) {
    out.table(
      ['WAITS FOR A MACHINE', 'SINCE', 'REASON'],
      pending.map(({ app, name, since, reason }) => [
        `${name} of ${app}`,
        agoText(since, at),
        reason,
      ]),
    );
    out.line('');
  }
  for (const { of, endsAt } of certificates)
    out.line(`The certificate of ${of} ${endText(endsAt - at)}.`);
  if (versions.length > 1)
    for (const { version, machines } of versions)
      out.line(`Version ${version} runs on ${machines.join(', ')}.`);
}

function endText(leftMs: number): string {
  return leftMs > 0 ? `ends in ${durationText(leftMs)}` : `ended ${durationText(-leftMs)} ago`;
}
