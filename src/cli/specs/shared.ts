// Options that mean the same in several commands.

export const waitOption = {
  'no-wait': { doc: 'return at once; it goes on by itself' },
};
