// What the routes need beside the context.

import type { Context } from '../context.ts';
import type { Admission } from '../operations/admission.ts';

export interface HttpDeps {
  context: Context;
  admission: Admission;
  /** What `GET /status` answers. */
  status(): Record<string, unknown>;
}
