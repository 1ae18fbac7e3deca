import type { SpanKindName } from '@mnops/core/spi';

/** Which spans a rule is about; an absent field matches all, and all given fields must match. */
export interface SpanMatch {
  /** Name of the service; `*` stands for any characters, `?` for one. */
  readonly service?: string | undefined;
  /** Name of the span, with `*` and `?`. */
  readonly name?: string | undefined;
  readonly kind?: SpanKindName | undefined;
  /** Attributes that it must have: a number or a truth value as it is, a text with `*` and `?`. */
  readonly attributes?: Readonly<Record<string, string | number | boolean>> | undefined;
}

/** Says whether a span matches. */
export type SpanTest = (
  name: string,
  kind: SpanKindName,
  attributes: Readonly<Record<string, unknown>>,
  service: string,
) => boolean;

/** Makes the test of a match once. */
export function compileMatch(match: SpanMatch): SpanTest {
  const name = match.name === undefined ? undefined : globTest(match.name);
  const service = match.service === undefined ? undefined : globTest(match.service);
  const attributes = Object.entries(match.attributes ?? {}).map(([key, wanted]) => {
    const test = typeof wanted === 'string' ? globTest(wanted) : undefined;
    return {
      key,
      accepts: (value: unknown): boolean => (test === undefined ? value === wanted : accepted(test, value)),
    };
  });
  return (spanName, spanKind, spanAttributes, spanService) =>
    (match.kind === undefined || match.kind === spanKind) &&
    (name === undefined || name(spanName)) &&
    (service === undefined || service(spanService)) &&
    attributes.every(({ key, accepts }) => accepts(spanAttributes[key]));
}

function accepted(test: (text: string) => boolean, value: unknown): boolean {
  if (typeof value === 'string') return test(value);
  return (typeof value === 'number' || typeof value === 'boolean') && test(String(value));
}

/** Matches a text with `*` and `?`, in time that grows with the product of both lengths at most. */
export function globTest(pattern: string): (text: string) => boolean {
  if (!/[*?]/.test(pattern)) return (text) => text === pattern;
  return (text) => {
    let at = 0;
    let inPattern = 0;
    let star = -1;
    let resume = 0;
    while (at < text.length) {
      const wanted = pattern[inPattern];
      if (wanted === '*') {
        star = inPattern;
        resume = at;
        inPattern += 1;
      } else if (wanted === '?' || wanted === text[at]) {
        inPattern += 1;
        at += 1;
      } else if (star >= 0) {
        // The last star takes one more character.
        resume += 1;
        at = resume;
        inPattern = star + 1;
      } else return false;
    }
    while (pattern[inPattern] === '*') inPattern += 1;
    return inPattern === pattern.length;
  };
}
