// Is the image on this machine? Nothing can be started without it; another machine may have it.

import { done, type Executor } from './outcome.ts';

export const checkImage: Executor<'checkImage'> = async (step, _view, deps) => {
  if (await deps.runtime.image(step.image)) return done;
  if (await deps.fetchImage?.(step.image)) return done;
  const reason = `the image ${step.image} is on no machine that answers: deploy or import it again`;
  return { failed: { reason, isFinal: false } };
};
