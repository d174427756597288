// What can go wrong when something is asked of the scheduler, as codes.

import { defineErrors } from '#core/errors';

export const schedulerErrors = defineErrors('scheduler', {
  jobNotFound: {
    status: 404,
    retry: false,
    doc: 'There is no job of that id: it never was, or its record was removed after its end.',
  },
  conflict: {
    status: 409,
    retry: true,
    doc: 'Another writer changed the same app at the same time, again and again; try once more.',
  },
  behind: {
    status: 503,
    retry: true,
    doc: "The scheduler's copy of the store did not reach its own commit in time; it tries again.",
  },
});
