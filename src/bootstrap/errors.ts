// What can go wrong while the platform is brought up, each with what to do about it.

import { defineErrors } from '#core/errors';

export const bootstrapErrors = defineErrors('bootstrap', {
  option: { status: 400, retry: false, doc: 'An option of script/up is unknown or malformed.' },
  command: {
    status: 500,
    retry: false,
    doc: 'A program that script/up needs failed; the message ends with what it said.',
  },
  timeout: {
    status: 504,
    retry: true,
    doc: 'A part of the platform did not come up in time; the message says where its log is.',
  },
  mixed: {
    status: 409,
    retry: false,
    doc: 'The folder belongs to another cluster or a newer version. Use another --home, or script/down first.',
  },
});
