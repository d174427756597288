// Image names as people write them: `name`, `name:tag`, `registry:5000/name:tag`. Pure.

import { imageErrors } from './errors.ts';

/** Longest name and tag together that the engine stores. */
const maxLength = 255;
const component = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const registry = '(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?/)?';
const pattern = new RegExp(
  `^(${registry}${component}(?:/${component})*)(?::([\\w][\\w.-]{0,127}))?$`,
);

/** Name and tag (`latest` when none is written); images.badReference for anything else. */
export function parseReference(reference: string): { name: string; tag: string } {
  const match = reference.length <= maxLength ? pattern.exec(reference) : null;
  if (match?.[1] === undefined)
    throw imageErrors.badReference(
      `${JSON.stringify(reference.slice(0, 80))} is not an image name such as name:tag`,
    );
  return { name: match[1], tag: match[2] ?? 'latest' };
}
