// What an error is here: a code that programs compare, a sentence for people, and whether to retry.
// Every code is registered once, at import, so that docs/errors.md can list exactly those.

export interface ErrorSpec {
  /** HTTP status that carries this error. */
  status: number;
  /** True when the same call may succeed later without anyone changing anything. */
  retry: boolean;
  /** One sentence for docs/errors.md: when it happens and what to do. */
  doc: string;
}

export interface ErrorBody {
  code: string;
  message: string;
  detail?: unknown;
  retry: boolean;
}

export interface ErrorOptions {
  detail?: unknown;
  /** Seconds until the call may be made again: the answer's Retry-After. */
  retryAfterS?: number;
  cause?: unknown;
}

export class AppError extends Error {
  readonly code: string;
  readonly status: number;
  readonly retry: boolean;
  readonly detail: unknown;
  readonly retryAfterS: number | undefined;

  constructor(
    code: string,
    spec: Omit<ErrorSpec, 'doc'>,
    message: string,
    options: ErrorOptions = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.status = spec.status;
    this.retry = spec.retry;
    this.detail = options.detail;
    this.retryAfterS = options.retryAfterS;
  }

  toBody(): ErrorBody {
    const body: ErrorBody = { code: this.code, message: this.message, retry: this.retry };
    return this.detail === undefined ? body : { ...body, detail: this.detail };
  }
}

export type ErrorMaker = (message: string, options?: ErrorOptions) => AppError;

const registry = new Map<string, ErrorSpec>();

/** Every registered code with its spec, sorted by code. */
export function registeredErrors(): [string, ErrorSpec][] {
  return [...registry].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Registers `component.reason` codes and returns one constructor per reason. A code twice is a bug. */
export function defineErrors<const T extends Record<string, ErrorSpec>>(
  component: string,
  specs: T,
): { [K in keyof T]: ErrorMaker } {
  const makers: Record<string, ErrorMaker> = {};
  for (const [reason, spec] of Object.entries(specs)) {
    const code = `${component}.${reason}`;
    if (registry.has(code)) throw new Error(`error code ${code} is defined twice`);
    registry.set(code, spec);
    makers[reason] = (message, options) => new AppError(code, spec, message, options);
  }
  return makers as { [K in keyof T]: ErrorMaker };
}

export const coreErrors = defineErrors('core', {
  internal: {
    status: 500,
    retry: false,
    doc: 'A bug in Gantry. The daemon log has the stack; report it.',
  },
  invalid: {
    status: 400,
    retry: false,
    doc: 'The request does not have the shape the API asks for; `detail` names each field.',
  },
  notFound: { status: 404, retry: false, doc: 'There is no route or object of that name.' },
  unreachable: {
    status: 503,
    retry: true,
    doc: 'The other process did not accept the connection, or closed it early.',
  },
  timeout: {
    status: 504,
    retry: true,
    doc: 'The other process accepted the call and did not answer in time.',
  },
  aborted: { status: 499, retry: false, doc: 'The caller gave up before the answer was there.' },
  tooLarge: {
    status: 413,
    retry: false,
    doc: 'The request body is larger than this route accepts.',
  },
  overloaded: {
    status: 429,
    retry: true,
    doc: 'A queue of fixed size is full; try again shortly.',
  },
  config: {
    status: 500,
    retry: false,
    doc: 'A setting in the environment is missing or malformed; the message names it.',
  },
});

/** Compares by code, so that it works across process borders. */
export function hasCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}

/** An AppError as it is; anything else becomes core.internal with the original as cause. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const text = error instanceof Error ? error.message : String(error);
  return coreErrors.internal(`unexpected failure: ${text}`, { cause: error });
}

/** Rebuilds an error that came over the wire, keeping its code; anything malformed stays readable. */
export function errorFromBody(body: unknown, status: number, attempted: string): AppError {
  if (typeof body === 'object' && body !== null && 'code' in body && 'message' in body) {
    const { code, message } = body as ErrorBody;
    const retry = 'retry' in body ? Boolean(body.retry) : status >= 500;
    const detail = 'detail' in body ? body.detail : undefined;
    return new AppError(String(code), { status, retry }, String(message), { detail });
  }
  const text = typeof body === 'string' ? body.slice(0, 300) : JSON.stringify(body)?.slice(0, 300);
  return new AppError(
    'core.unreachable',
    { status, retry: status >= 500 },
    `${attempted}: answered ${status}: ${text ?? ''}`,
  );
}
