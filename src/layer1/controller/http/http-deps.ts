// What the routes need beside the context.

import type { Context } from '../context.ts';

export interface HttpDeps {
  context: Context;
  internalKey: string;
  /** What `GET /status` answers. */
  status(): Record<string, unknown>;
}
