// Limits of an upgrade, with their names.

/** A host that took its turn and is not heard of keeps the others waiting for this long. */
export const turnLimitMs = 300_000;
/** How often the turn is looked at while another version is wanted. */
export const lookEveryMs = 2_000;
/** The same while nothing is wanted; a change of the store is seen at once. */
export const resyncMs = 60_000;
