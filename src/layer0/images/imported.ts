// Whose is an image that was imported? One that was not here before is Gantry's: it gets names that say so, one for each
// name it came with. They also hold it when such a name moves on to another image: an engine may forget what has no name.

import { createHash } from 'node:crypto';
import { type Image, importedName } from './wire.ts';

type Named = Pick<Image, 'id' | 'tags'>;

/** The names to give after an import. `before`: the same image as it was before, undefined when it was not here. */
export function importMarks(image: Named, before: Named | undefined): string[] {
  if (before && !before.tags.some(isMark)) return [];
  const known = new Set(before?.tags);
  const fresh = image.tags.filter((tag) => !isMark(tag) && !known.has(tag));
  if (before || fresh.length > 0) return fresh.map((tag) => markOf(image, tag));
  return [markOf(image, '')];
}

/** What an image from a registry is called: a mark like that of one that was imported without a name. */
export function pulledName(imageId: string): string {
  return markOf({ id: imageId, tags: [] }, '');
}

/** Has the image come by an import, and no name but those it came with? */
export function isImportedOnly(image: Named): boolean {
  const names = ownNames(image);
  const isKnown = (name: string) => image.tags.includes(markOf(image, name));
  return names.length < image.tags.length && names.every(isKnown);
}

/** Those that are not marks. */
export function ownNames(image: Named): string[] {
  return image.tags.filter((tag) => !isMark(tag));
}

function isMark(tag: string): boolean {
  return tag.startsWith(`${importedName}:`);
}

/** Names the image too, so that it never moves to another one. */
function markOf({ id }: Named, name: string): string {
  const digest = createHash('sha256').update(name).digest('hex');
  return `${importedName}:${id.replace('sha256:', '').slice(0, 12)}-${digest.slice(0, 12)}`;
}
