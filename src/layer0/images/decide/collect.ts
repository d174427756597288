// Which images may go? Pure. Only what Gantry made for an app, imported, or left half-made is ever named, and system images
// of versions before the last one; base images and everything that people brought themselves stay.

import { isImportedOnly, ownNames } from '../imported.ts';
import { type Image, imageLabels, systemName, unfinishedName } from '../wire.ts';

export const intermediateKind = 'intermediate';
/** System images that stay: what was made last, and one to go back to. What is used stays anyway. */
const keptSystemImages = 2;

export interface CollectInput {
  images: Image[];
  /** Ids that a release, a job or a container still names. */
  keep: ReadonlySet<string>;
  /** When this process first saw each image, by the monotonic clock; an image without it was never seen before. */
  firstSeenMs: ReadonlyMap<string, number>;
  nowMs: number;
  /** A fresh image may be on its way into a release that nobody has written yet. */
  minAgeMs: number;
  /** Only images of this app. */
  app?: string;
}

/** Ids to remove, oldest first. */
export function imagesToCollect(input: CollectInput): string[] {
  const earlier = new Set(
    input.images
      .filter(isSystem)
      .sort((a, b) => b.createdAt - a.createdAt)
      .slice(keptSystemImages),
  );
  return input.images
    .filter((image) => isCollectable(image) || earlier.has(image))
    .filter((image) => !input.keep.has(image.id) && isOld(image, input))
    .filter(({ labels }) => input.app === undefined || labels[imageLabels.app] === input.app)
    .sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1))
    .map((image) => image.id);
}

function isCollectable(image: Image): boolean {
  const { labels, tags } = image;
  const kind = labels[imageLabels.kind];
  const isUnfinished = tags.length > 0 && tags.every((tag) => tag.startsWith(`${unfinishedName}:`));
  const isMade = kind === intermediateKind || labels[imageLabels.app] !== undefined;
  return isMade || isUnfinished || isImportedOnly(image);
}

/** By its names, not by its label: whatever is built on it has that, too. */
function isSystem(image: Image): boolean {
  const names = ownNames(image);
  return names.length > 0 && names.every((name) => name.startsWith(`${systemName}:`));
}

/** The date inside an imported image may be years ago: its time on this machine counts. */
function isOld({ id }: Image, { firstSeenMs, nowMs, minAgeMs }: CollectInput): boolean {
  return nowMs - (firstSeenMs.get(id) ?? nowMs) >= minAgeMs;
}
