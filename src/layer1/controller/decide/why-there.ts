// Why is a process on its machine? In the words of what decided when it was placed.

import type { Job } from '#layer0/scheduler/wire';

export function whyThere({
  isOnePerHost,
  isSingleton,
  replaces,
  placement,
  rules,
  spec,
}: Job): string {
  const tags = Object.entries(spec.tags).map(([name, value]) => `${name}=${value}`);
  const constraints = (rules?.constraints ?? []).map(({ tag, operator, values = [] }) =>
    operator === 'exists' || operator === 'absent'
      ? `${operator === 'absent' ? '!' : ''}${tag}`
      : `${tag}${operator === 'in' ? '=' : '!='}${values.join(',')}`,
  );
  const where = [...tags, ...constraints];
  const near = (rules?.near ?? []).map(({ type }) => `near ${type}`);
  const apart = (rules?.apart ?? []).map(({ type }) => `apart from ${type}`);
  return [
    isOnePerHost
      ? 'one on each machine'
      : placement === 'binpack'
        ? 'packed: the fullest machine that holds it'
        : `spread: ${rules?.spreadBy === undefined ? '' : `by ${rules.spreadBy}, then `}where fewest of it and least else run`,
    ...(isSingleton ? ['only one at once'] : []),
    ...(where.length > 0 ? [`where ${where.join(' and ')}`] : []),
    ...near,
    ...apart,
    ...(replaces ? [`moved there by a ${replaces.because}`] : []),
  ].join(', ');
}
