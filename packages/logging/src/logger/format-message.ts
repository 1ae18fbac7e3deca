import { isError } from './error-fields.js';

/** JSON text of a value, with redaction. */
export type ToJson = (value: unknown) => string;

/** A message and attributes, as they were meant by the arguments of a log call. */
export interface ArrangedCall {
  readonly message: string;
  readonly attributes: object | undefined;
}

/**
 * Sorts the arguments of a log call: `(message, attributes?, ...splat)` and `(attributes | Error, message?, ...splat)`.
 *
 * `%s %d %i %f %j %o %O %%` in the message take values from `splat`; values left over are appended. A second argument
 * that is no object is the first value of `splat`.
 */
export function arrangeCall(first: unknown, second: unknown, rest: readonly unknown[], json: ToJson): ArrangedCall {
  if (typeof first === 'string') {
    if (second === undefined && rest.length === 0) return { message: first, attributes: undefined };
    if (typeof second === 'object' && second !== null && !Array.isArray(second)) {
      return { message: formatMessage(first, rest, json), attributes: attributesOf(second) };
    }
    return { message: formatMessage(first, [second, ...rest], json), attributes: undefined };
  }
  if (typeof first === 'object' && first !== null) {
    const values = second === undefined ? rest : [second, ...rest];
    const [text, ...splat] = values;
    const message = typeof text === 'string' ? formatMessage(text, splat, json) : ownMessage(first);
    return { message, attributes: attributesOf(first) };
  }
  const values = second === undefined ? rest : [second, ...rest];
  return { message: formatMessage(textOf(first, json), values, json), attributes: undefined };
}

/** An error becomes the attribute `error`; a list the attribute `values`. */
function attributesOf(value: object): object {
  if (isError(value)) return { error: value };
  return Array.isArray(value) ? { values: value } : value;
}

function ownMessage(value: object): string {
  if (!isError(value)) return '';
  try {
    return String(value.message);
  } catch {
    return '';
  }
}

/** Fills `%s %d %i %f %j %o %O %%` from values and appends those left over. */
export function formatMessage(template: string, values: readonly unknown[], json: ToJson): string {
  if (values.length === 0) return template;
  let used = 0;
  const filled = template.replace(/%([sdifjoO%])/g, (whole, kind: string) => {
    if (kind === '%') return '%';
    if (used >= values.length) return whole;
    const value = values[used];
    used += 1;
    return formatValue(kind, value, json);
  });
  const left = values.slice(used).map((value) => textOf(value, json));
  return left.length === 0 ? filled : `${filled} ${left.join(' ')}`;
}

function formatValue(kind: string, value: unknown, json: ToJson): string {
  if (kind === 's') return textOf(value, json);
  if (kind === 'j' || kind === 'o' || kind === 'O') return json(value);
  if (typeof value === 'bigint') return `${value}`;
  const number = typeof value === 'object' || typeof value === 'symbol' ? Number.NaN : Number(value);
  return kind === 'i' ? `${Math.trunc(number)}` : `${number}`;
}

function textOf(value: unknown, json: ToJson): string {
  if (isError(value)) return ownMessage(value);
  return typeof value === 'object' && value !== null ? json(value) : String(value);
}
