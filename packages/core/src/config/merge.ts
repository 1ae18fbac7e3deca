/** Plain data with the source of each leaf. */
export interface Layered {
  readonly value: Record<string, unknown>;
  /** By path of the leaf, its keys joined by dots. */
  readonly provenance: Map<string, string>;
}

/** An empty start. */
export function emptyLayers(): Layered {
  return { value: {}, provenance: new Map() };
}

/**
 * Lays plain data over what is there: objects are joined key by key, anything else replaces. A key of the name
 * `__proto__` becomes an ordinary own key, which a schema then refuses.
 */
export function layOver(target: Layered, data: Readonly<Record<string, unknown>>, source: string): void {
  join(target.value, data, [], target.provenance, () => source);
}

/** Sets one value at a path of keys, making the objects on the way. */
export function setAt(target: Layered, path: readonly string[], value: unknown, source: string): void {
  let wrapped: unknown = value;
  for (const key of [...path].reverse()) wrapped = own({}, key, wrapped);
  join(target.value, wrapped as Record<string, unknown>, [], target.provenance, () => source);
}

function join(
  target: Record<string, unknown>,
  data: Readonly<Record<string, unknown>>,
  path: readonly string[],
  provenance: Map<string, string>,
  sourceOf: () => string,
): void {
  for (const key of Object.keys(data)) {
    const value = data[key];
    if (value === undefined) continue;
    const at = [...path, key];
    const before = Object.hasOwn(target, key) ? target[key] : undefined;
    if (isPlain(value)) {
      const into = isPlain(before) ? before : {};
      if (!isPlain(before)) forget(provenance, at);
      own(target, key, into);
      if (Object.keys(value).length === 0 && Object.keys(into).length === 0) provenance.set(at.join('.'), sourceOf());
      else provenance.delete(at.join('.'));
      join(into, value, at, provenance, sourceOf);
    } else {
      forget(provenance, at);
      own(target, key, Array.isArray(value) ? structuredCopy(value) : value);
      provenance.set(at.join('.'), sourceOf());
    }
  }
}

/** Whether a value is an object whose keys are data. */
export function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** The value and everything in it that is plain data can no longer be changed. */
export function deepFreeze<T>(value: T): T {
  if (!Array.isArray(value) && !isPlain(value)) return value;
  if (Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const part of Object.values(value)) deepFreeze(part);
  return value;
}

function structuredCopy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(structuredCopy);
  if (!isPlain(value)) return value;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) own(copy, key, structuredCopy(value[key]));
  return copy;
}

/** Assignment would turn `__proto__` into the prototype. */
function own(target: Record<string, unknown>, key: string, value: unknown): Record<string, unknown> {
  return Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}

function forget(provenance: Map<string, string>, path: readonly string[]): void {
  const name = path.join('.');
  for (const known of provenance.keys()) {
    if (known === name || known.startsWith(`${name}.`)) provenance.delete(known);
  }
}
