// Whether a push deploys, and which commit: a pure answer from the refs it wants to change.

import type { RefUpdate } from '../wire.ts';

export type Verdict =
  | { kind: 'deploy'; commit: string; branch: string }
  | { kind: 'refuse'; reason: string };

/** The branches that deploy. */
export const deployBranches = ['main', 'master'] as const;

const isZero = (id: string) => /^0+$/.test(id);

/** All or nothing: one ref that cannot be taken refuses the whole push. */
export function judgePush(updates: RefUpdate[]): Verdict {
  const refused = updates.map(refusal).find((reason) => reason !== undefined);
  if (refused) return { kind: 'refuse', reason: refused };
  const [update, ...others] = updates;
  if (!update) return { kind: 'refuse', reason: 'The push changes nothing.' };
  if (others.length > 0)
    return {
      kind: 'refuse',
      reason: 'A push deploys one branch: push either main or master, not both.',
    };
  return { kind: 'deploy', commit: update.newId, branch: branchOf(update.ref) ?? '' };
}

function refusal({ ref, newId }: RefUpdate): string | undefined {
  const branch = branchOf(ref);
  if (branch === undefined)
    return `${shown(ref)} is not a branch: only ${deployBranches.join(' and ')} deploy. Push them without --tags, --all or --mirror.`;
  if (!(deployBranches as readonly string[]).includes(branch))
    return `The branch ${shown(branch)} is not deployed: only ${deployBranches.join(' and ')} are. Push it as one of them: git push gantry ${shown(branch)}:main`;
  if (isZero(newId))
    return `The branch ${branch} cannot be deleted: it is what runs. To remove the app, use \`gantry delete\`.`;
  return undefined;
}

function branchOf(ref: string): string | undefined {
  return ref.startsWith('refs/heads/') ? ref.slice('refs/heads/'.length) : undefined;
}

function shown(name: string): string {
  return name.replaceAll(/\p{Cc}/gu, '?').slice(0, 100);
}
