import type { Caller, DatadogFacts } from './caller.js';
import type { HeaderFormat } from './header-formats.js';
import { type RemoteSpanContext, singleHeader } from './trace-context.js';

const maxUnsigned64 = 0xffff_ffff_ffff_ffffn;
const zeroes = /^0+$/;
const highHalf = '_dd.p.tid';
/** Characters of `x-datadog-tags`; what does not fit is left out. */
const maxTagCharacters = 512;
/** Characters of the `dd` member of `tracestate`. */
const maxMemberCharacters = 256;
const tagForm = /^(_dd\.p\.[\x21-\x2b\x2d-\x3c\x3e-\x7e]+)=([\x20-\x2b\x2d-\x7e]+)$/;
const originForm = /^[\x20-\x7e]{1,128}$/;
const priorities = ['-1', '0', '1', '2'];

/** The `x-datadog-…` headers: decimal ids, the high half of the trace id among the tags. */
export const datadog: HeaderFormat = {
  fields: [
    'x-datadog-trace-id',
    'x-datadog-parent-id',
    'x-datadog-sampling-priority',
    'x-datadog-origin',
    'x-datadog-tags',
  ],
  read: (header) => {
    const low = decimal64(singleHeader(header('x-datadog-trace-id')));
    const spanId = decimal64(singleHeader(header('x-datadog-parent-id')));
    if (low === undefined || spanId === undefined) return undefined;
    const tags = readTags(singleHeader(header('x-datadog-tags')) ?? '');
    const high = tags.get(highHalf) ?? '';
    tags.delete(highHalf);
    const traceId = `${/^[0-9a-f]{16}$/.test(high) ? high : '0'.repeat(16)}${low}`;
    if (zeroes.test(low) || zeroes.test(spanId)) return undefined;
    const priority = readPriority(singleHeader(header('x-datadog-sampling-priority')));
    const origin = singleHeader(header('x-datadog-origin'));
    const sampled = priority === undefined || priority > 0;
    return {
      span: { traceId, spanId, traceFlags: sampled ? 1 : 0, traceState: undefined },
      sampling: samplingOf(priority),
      datadog: { priority, origin: origin !== undefined && originForm.test(origin) ? origin : undefined, tags },
    };
  },
  write: ({ traceId, spanId, traceFlags }, caller) => {
    const facts = caller?.datadog;
    const high = traceId.slice(0, 16);
    const tags = new Map([...(zeroes.test(high) ? [] : [[highHalf, high] as const]), ...(facts?.tags ?? [])]);
    const text = tagText(tags);
    return [
      ['x-datadog-trace-id', BigInt(`0x${traceId.slice(16)}`).toString()],
      ['x-datadog-parent-id', BigInt(`0x${spanId}`).toString()],
      ['x-datadog-sampling-priority', String(priorityOf(traceFlags, facts))],
      ...(facts?.origin === undefined ? [] : [['x-datadog-origin', facts.origin] as const]),
      ...(text === '' ? [] : [['x-datadog-tags', text] as const]),
    ];
  },
};

/** Reads what the `dd` member of a `tracestate` says; `undefined` when there is nothing to pass on. */
export function readDatadogMember(member: string | undefined): DatadogFacts | undefined {
  if (member === undefined) return undefined;
  const tags = new Map<string, string>();
  let priority: number | undefined;
  let origin: string | undefined;
  for (const part of member.split(';')) {
    const separator = part.indexOf(':');
    if (separator <= 0) continue;
    const [name, value] = [part.slice(0, separator), part.slice(separator + 1).replaceAll('~', '=')];
    if (name === 's') priority = readPriority(value);
    else if (name === 'o' && originForm.test(value)) origin = value;
    else if (name.startsWith('t.') && name !== 't.tid') {
      const tag = `_dd.p.${name.slice(2)}`;
      if (tagForm.test(`${tag}=${value}`)) tags.set(tag, value);
    }
  }
  return { priority, origin, tags };
}

/** The `dd` member of a `tracestate` for a span. */
export function datadogMember(span: RemoteSpanContext, caller: Caller | undefined): string {
  const facts = caller?.datadog;
  const parts = [`s:${priorityOf(span.traceFlags, facts)}`];
  if (facts?.origin !== undefined) parts.push(`o:${memberText(facts.origin)}`);
  parts.push(`p:${span.spanId}`);
  let text = parts.join(';');
  for (const [tag, value] of facts?.tags ?? []) {
    const longer = `${text};t.${memberText(tag.slice('_dd.p.'.length)).replaceAll(':', '_')}:${memberText(value)}`;
    if (longer.length <= maxMemberCharacters) text = longer;
  }
  return text;
}

/** The caller's own number as long as our decision is the same as his. */
function priorityOf(traceFlags: number, facts: DatadogFacts | undefined): number {
  const sampled = (traceFlags & 1) === 1;
  const said = facts?.priority;
  return said !== undefined && said > 0 === sampled ? said : Number(sampled);
}

function samplingOf(priority: number | undefined): Caller['sampling'] {
  if (priority === undefined) return 'open';
  return priority > 0 ? 'yes' : 'no';
}

function readPriority(text: string | undefined): number | undefined {
  const digits = text?.trim() ?? '';
  return priorities.includes(digits) ? Number(digits) : undefined;
}

function readTags(text: string): Map<string, string> {
  const tags = new Map<string, string>();
  for (const part of text.split(',')) {
    const [, tag, value] = tagForm.exec(part.trim()) ?? [];
    if (tag !== undefined && value !== undefined) tags.set(tag, value);
  }
  return tags;
}

function tagText(tags: ReadonlyMap<string, string>): string {
  let text = '';
  for (const [tag, value] of tags) {
    const longer = `${text}${text === '' ? '' : ','}${tag}=${value}`;
    if (longer.length <= maxTagCharacters) text = longer;
  }
  return text;
}

/** A text as the member allows it: `=` is written as `~`, separators as `_`. */
function memberText(text: string): string {
  return text
    .replace(/[,;~]|[^\x20-\x7e]/g, '_')
    .replaceAll('=', '~')
    .trimEnd();
}

function decimal64(text: string | undefined): string | undefined {
  const digits = text?.trim() ?? '';
  if (!/^\d{1,20}$/.test(digits)) return undefined;
  const value = BigInt(digits);
  return value > maxUnsigned64 ? undefined : value.toString(16).padStart(16, '0');
}
