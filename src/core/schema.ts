// Schemas once: built here as plain JSON Schema, types derived by TypeBox, values checked by Ajv at every border.
// TypeBox is a type-level dependency only: importing its code would cost every process 20 MB for the dozen builders below.

import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import type Typebox from 'typebox';
import type { Static, TSchema } from 'typebox';
import { coreErrors } from './errors.ts';

export type { Static, TSchema };

type Schema = Record<string, unknown>;
type Builders = Pick<
  typeof Typebox,
  | 'Array'
  | 'Boolean'
  | 'Integer'
  | 'Intersect'
  | 'Literal'
  | 'Null'
  | 'Object'
  | 'Optional'
  | 'Partial'
  | 'Record'
  | 'String'
  | 'Union'
  | 'Unknown'
  | 'Unsafe'
>;

/** Which properties may be absent: kept beside the schema, because JSON Schema says it on the object around it. */
const optional = new WeakSet<object>();

function object(properties: Record<string, Schema>, options: Schema = {}): Schema {
  const required = Object.keys(properties).filter((name) => !optional.has(properties[name] ?? {}));
  return { type: 'object', ...(required.length > 0 ? { required } : {}), properties, ...options };
}

function asOptional(schema: Schema): Schema {
  const copy = { ...schema };
  optional.add(copy);
  return copy;
}

function partial(
  { properties }: { properties: Record<string, Schema> },
  options: Schema = {},
): Schema {
  const all = Object.entries(properties).map(([name, property]) => [name, asOptional(property)]);
  return object(Object.fromEntries(all), options);
}

/** The names follow the first schema's pattern, when it has one. */
function record(names: Schema, values: Schema, options: Schema = {}): Schema {
  const pattern = typeof names.pattern === 'string' ? names.pattern : '^.*$';
  return { type: 'object', patternProperties: { [pattern]: values }, ...options };
}

/** The builders of TypeBox that are used here, with its types. */
export const Type = {
  Array: (items: Schema, options: Schema = {}) => ({ type: 'array', items, ...options }),
  Boolean: (options: Schema = {}) => ({ type: 'boolean', ...options }),
  Integer: (options: Schema = {}) => ({ type: 'integer', ...options }),
  Intersect: (allOf: Schema[], options: Schema = {}) => ({ allOf, ...options }),
  Literal: (value: string | number | boolean) => ({ type: typeof value, const: value }),
  Null: (options: Schema = {}) => ({ type: 'null', ...options }),
  Object: object,
  Optional: asOptional,
  Partial: partial,
  Record: record,
  String: (options: Schema = {}) => ({ type: 'string', ...options }),
  Union: (anyOf: Schema[], options: Schema = {}) => ({ anyOf, ...options }),
  Unknown: (options: Schema = {}) => ({ ...options }),
  Unsafe: (schema: Schema) => ({ ...schema }),
} as unknown as Builders;

export interface Parser<T> {
  /** The value itself when it has the shape; core.invalid naming each bad field otherwise. `what` opens the message. */
  parse(value: unknown, what: string): T;
  check(value: unknown): value is T;
}

let ajv: Ajv | undefined;

/** Compiled on first use: importing a wire file costs nothing until something is parsed. */
export function parser<S extends TSchema>(schema: S): Parser<Static<S>> {
  let compiled: ValidateFunction | undefined;
  const validator = () => {
    ajv ??= new Ajv({
      strict: false,
      allErrors: true,
      validateFormats: false,
      addUsedSchema: false,
    });
    compiled ??= ajv.compile(schema);
    return compiled;
  };
  return {
    check: (value): value is Static<S> => validator()(value) === true,
    parse(value, what) {
      const validate = validator();
      if (validate(value)) return value as Static<S>;
      throw invalid(validate.errors ?? [], what);
    },
  };
}

type SchemaProblem = Pick<ErrorObject, 'instancePath' | 'message'> & Partial<ErrorObject>;

/** One sentence out of a validator's list; at most five fields are named. */
export function invalid(problems: Iterable<SchemaProblem>, what: string) {
  const fields = [...problems].slice(0, 5).map((problem) => {
    const field = problem.instancePath.replace(/^\//, '').replaceAll('/', '.');
    return { field: field || '(the value itself)', problem: problemText(problem) };
  });
  const text = fields.map(({ field, problem }) => `${field} ${problem}`).join('; ');
  return coreErrors.invalid(`${what} is not valid: ${text}`, { detail: fields });
}

function problemText({ keyword, message = 'is wrong', params }: SchemaProblem): string {
  if (keyword === 'enum') return `must be one of ${String(params?.allowedValues)}`;
  if (keyword === 'additionalProperties') return `must not have ${params?.additionalProperty}`;
  return message;
}

/** A string out of a fixed set, as a plain JSON-schema enum. */
export function oneOf<const T extends string>(...values: T[]) {
  return Type.Unsafe<T>({ type: 'string', enum: values });
}
