/** An answer of Vault: any status but those of an outage. */
export interface VaultAnswer {
  readonly status: number;
  /** The parsed body; `undefined` where there is none. */
  readonly body: unknown;
}

/** One request to Vault. */
export interface VaultRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below `/v1/`, each segment percent-encoded, with the query. */
  readonly path: string;
  readonly body?: Readonly<Record<string, unknown>> | undefined;
  /** What is done, for errors. */
  readonly operation: string;
  /** Whether a repetition changes nothing, so that it may be sent again with another token. */
  readonly repeatable: boolean;
}

/** The object behind keys of parsed JSON; `undefined` when one of them is missing or no object. */
export function objectAt(value: unknown, ...keys: readonly string[]): Readonly<Record<string, unknown>> | undefined {
  let at: unknown = value;
  for (const key of keys) at = isObject(at) && Object.hasOwn(at, key) ? at[key] : undefined;
  return isObject(at) ? at : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** First text of the answer's list of errors, to be compared, never to be shown. */
export function firstError({ body }: VaultAnswer): string {
  const errors = objectAt(body)?.['errors'];
  return Array.isArray(errors) && typeof errors[0] === 'string' ? errors[0] : '';
}

/** Epoch milliseconds of a timestamp such as `2026-01-31T12:00:00.123456789Z`; `undefined` for anything else. */
export function timeOf(value: unknown): number | undefined {
  if (typeof value !== 'string' || value === '') return undefined;
  const ms = Date.parse(value);
  return Number.isNaN(ms) ? undefined : ms;
}
