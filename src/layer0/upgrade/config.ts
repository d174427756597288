// The setting of upgrade, and its limits with their names.

import { textSetting } from '#core/config';

/** `wish`, or `hand` where script/up is run from a checkout: there it alone says which version is right. */
export const upgradeSettings = {
  upgradedBy: textSetting({
    env: 'GANTRY_UPGRADED_BY',
    doc: 'wish: this machine follows the version that is wanted of the cluster; hand: script/up is run here.',
    fallback: 'wish',
  }),
};

/** A host that took its turn and is not heard of keeps the others waiting for this long. */
export const turnLimitMs = 300_000;
/** How often the turn is looked at while another version is wanted. */
export const lookEveryMs = 2_000;
/** The same while nothing is wanted; a change of the store is seen at once. */
export const resyncMs = 60_000;
