import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { type W3cHarness, w3cHarness } from '../testing/w3c-harness.js';
import { w3cService } from '../testing/w3c-service.js';

const traceId = '12345678901234567890123456789012';
const spanId = '1234567890123456';
const parent = `00-${traceId}-${spanId}-01`;
const good = ['traceparent', parent] as const;

let apm: PerformanceMonitoringManager;
let service: Server;
let harness: W3cHarness;

beforeAll(async () => {
  apm = new PerformanceMonitoringManager({ service: 'w3c', registerGlobals: false });
  await apm.start();
  service = w3cService(apm).listen(0, '127.0.0.1');
  await once(service, 'listening');
  harness = await w3cHarness((service.address() as AddressInfo).port);
});

afterAll(async () => {
  await harness[Symbol.asyncDispose]();
  service.close();
  await once(service, 'close');
  await apm.stop();
});

interface Sent {
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: string;
  readonly tracestate: string | undefined;
}

async function sent(...headers: (readonly [string, string])[]): Promise<Sent> {
  const [seen] = await harness.send(headers);
  const form = /^00-([0-9a-f]{32})-([0-9a-f]{16})-(0[0-3])$/;
  expect(seen?.['traceparent']).toHaveLength(1);
  const match = form.exec(seen?.['traceparent']?.[0] ?? '');
  expect(match, String(seen?.['traceparent'])).not.toBeNull();
  const [, trace = '', span = '', flags = ''] = match ?? [];
  expect(span).not.toBe(spanId);
  return { traceId: trace, spanId: span, flags, tracestate: seen?.['tracestate']?.join(',') };
}

describe('W3C Trace Context, Level 2, as a service passes it on', () => {
  it.each([
    ['traceparent', parent],
    ['TraceParent', parent],
    ['TRACEPARENT', parent],
    ['traceparent', ` ${parent}`],
    ['traceparent', `\t${parent} \t`],
    ['traceparent', `cc-${traceId}-${spanId}-01`],
    ['traceparent', `cc-${traceId}-${spanId}-01-what-the-future-holds`],
    ['traceparent', `fe-${traceId}-${spanId}-01-`],
  ])('goes on with %s: %j', async (name, value) => {
    expect(await sent([name, value])).toMatchObject({ traceId, flags: '01', tracestate: undefined });
  });

  it.each([
    ['trace-parent', parent],
    ['trace.parent', parent],
    ['traceparent', ''],
    ['traceparent', `00-${traceId}-${spanId}-01.`],
    ['traceparent', `00-${traceId}-${spanId}-01-what-the-future-holds`],
    ['traceparent', `cc-${traceId}-${spanId}-01.what-the-future-holds`],
    ['traceparent', `cc-${traceId}-${spanId}-0`],
    ['traceparent', `ff-${traceId}-${spanId}-01`],
    ['traceparent', `.0-${traceId}-${spanId}-01`],
    ['traceparent', `0.-${traceId}-${spanId}-01`],
    ['traceparent', `000-${traceId}-${spanId}-01`],
    ['traceparent', `0000-${traceId}-${spanId}-01`],
    ['traceparent', `0-${traceId}-${spanId}-01`],
    ['traceparent', `CC-${traceId}-${spanId}-01`],
    ['traceparent', `00-${'0'.repeat(32)}-${spanId}-01`],
    ['traceparent', `00-.${traceId.slice(1)}-${spanId}-01`],
    ['traceparent', `00-${traceId.slice(1)}.-${spanId}-01`],
    ['traceparent', `00-${traceId.slice(2)}AB-${spanId}-01`],
    ['traceparent', `00-${traceId}3-${spanId}-01`],
    ['traceparent', `00-${traceId.slice(1)}-${spanId}-01`],
    ['traceparent', `00-${traceId}-${'0'.repeat(16)}-01`],
    ['traceparent', `00-${traceId}-.${spanId.slice(1)}-01`],
    ['traceparent', `00-${traceId}-${spanId.slice(2)}AB-01`],
    ['traceparent', `00-${traceId}-${spanId}7-01`],
    ['traceparent', `00-${traceId}-${spanId.slice(1)}-01`],
    ['traceparent', `00-${traceId}-${spanId}-.0`],
    ['traceparent', `00-${traceId}-${spanId}-0.`],
    ['traceparent', `00-${traceId}-${spanId}-001`],
    ['traceparent', `00-${traceId}-${spanId}-1`],
    ['traceparent', `00_${traceId}_${spanId}_01`],
  ])('begins a trace of its own at %s: %j', async (name, value) => {
    const without = await sent();
    const seen = await sent([name, value], ['tracestate', 'foo=1']);
    expect(seen.traceId).not.toContain(traceId.slice(4, 20));
    // Without a parent the state is not looked at.
    expect(seen.tracestate).toBe(without.tracestate);
    expect(seen.flags).toBe('03');
  });

  it('begins a trace of its own at two parents, whether they differ or not', async () => {
    const second = parent.replace('9012-', '9011-');
    for (const other of [second, parent, `cc-${traceId}-${spanId}-01-x`]) {
      const seen = await sent(['traceparent', other], ['traceparent', parent], ['tracestate', 'foo=1']);
      expect([traceId, second.slice(3, 35)]).not.toContain(seen.traceId);
      expect(seen.tracestate).toBeUndefined();
    }
  });

  it.each([
    ['00', '00'],
    ['01', '01'],
    ['02', '02'],
    ['03', '03'],
    ['ff', '03'],
    ['fc', '00'],
  ])('passes the flags %s on as %s: sampled and random, none besides', async (flags, expected) => {
    expect(await sent(['traceparent', `00-${traceId}-${spanId}-${flags}`])).toMatchObject({ traceId, flags: expected });
  });

  const all = Array.from({ length: 32 }, (_, i) => `bar${i}=${i}`).join(',');
  const octets = String.fromCharCode(...Array.from({ length: 0x5f }, (_, i) => 0x20 + i)).replace(/[,=]/g, '');
  const key = 'abcdefghijklmnopqrstuvwxyz0123456789_-*/';
  it.each<[what: string, given: readonly string[], expected: string | undefined]>([
    ['one', ['foo=1,bar=2'], 'foo=1,bar=2'],
    ['several headers', ['foo=1,bar=2', 'rojo=1,congo=2', 'baz=3'], 'foo=1,bar=2,rojo=1,congo=2,baz=3'],
    ['an empty header', [''], undefined],
    ['an empty header before', ['', 'foo=1'], 'foo=1'],
    ['an empty header behind', ['foo=1', ''], 'foo=1'],
    ['empty members', ['foo=1,, ,bar=2,'], 'foo=1,bar=2'],
    ['white space', ['foo=1 \t , \t bar=2, \t baz=3'], 'foo=1,bar=2,baz=3'],
    ['white space around', ['\t foo=1 \t'], 'foo=1'],
    ['a value that begins with spaces', ['foo=  1 ,bar=2'], 'foo=  1,bar=2'],
    ['one key twice', ['foo=1,foo=1'], 'foo=1'],
    ['one key with two values', ['foo=1,foo=2'], 'foo=1'],
    ['one key in two headers', ['foo=1', 'foo=2'], 'foo=1'],
    [
      'every character',
      [`${key}=${octets}`, `${key}@a-z0-9_-*/=${octets}`],
      `${key}=${octets},${key}@a-z0-9_-*/=${octets}`,
    ],
    ['a key that begins with a digit', ['0foo=1,1@2=3'], '0foo=1,1@2=3'],
    ['keys of Level 2', ['foo@=1,foo@@bar=2,foo@bar@baz=3'], 'foo@=1,foo@@bar=2,foo@bar@baz=3'],
    ['the longest key', [`foo=1,${'z'.repeat(256)}=1`], `foo=1,${'z'.repeat(256)}=1`],
    [
      'a key with the longest tenant',
      [`${'t'.repeat(241)}@${'v'.repeat(14)}=1`],
      `${'t'.repeat(241)}@${'v'.repeat(14)}=1`,
    ],
    ['a key too long', [`foo=1,${'z'.repeat(257)}=1`], undefined],
    ['a tenant too long', [`${'t'.repeat(242)}@${'v'.repeat(14)}=1`], undefined],
    ['a system too long', [`${'t'.repeat(241)}@${'v'.repeat(15)}=1`], undefined],
    ['the longest value', [`foo=${'v'.repeat(256)}`], `foo=${'v'.repeat(256)}`],
    ['a value too long', [`foo=${'v'.repeat(257)}`], undefined],
    ['no value', ['foo=,bar=3'], undefined],
    ['no separator', ['foo,bar=3'], undefined],
    ['a space in a key', ['foo =1'], undefined],
    ['upper case', ['FOO=1'], undefined],
    ['a dot', ['foo.bar=1'], undefined],
    ['an at sign first', ['@foo=1,bar=2'], undefined],
    ['two equals signs', ['foo=bar=baz'], undefined],
    ['32 members', [all], all],
    ['33 members', [`${all},foo=1`], undefined],
    ['33 members in two headers', [all, 'foo=1'], undefined],
    ['512 characters', [`a=${'1'.repeat(254)},b=${'2'.repeat(253)}`], `a=${'1'.repeat(254)},b=${'2'.repeat(253)}`],
  ])('passes tracestate on: %s', async (_what, given, expected) => {
    const seen = await sent(good, ...given.map((value) => ['tracestate', value] as const));
    expect(seen).toMatchObject({ traceId, tracestate: expected });
  });

  it.each(['TraceState', 'TRACESTATE', 'tRaCeStAtE'])('knows %s', async (name) => {
    expect((await sent(good, [name, 'foo=1'])).tracestate).toBe('foo=1');
  });

  it.each(['trace-state', 'trace.state'])('takes nothing from %s', async (name) => {
    expect((await sent(good, [name, 'foo=1'])).tracestate).toBeUndefined();
  });

  it.each<[string, readonly (readonly [string, string])[]]>([
    ['a parent', [good]],
    ['no parent', []],
    ['a wrong parent', [['traceparent', `00-${'0'.repeat(32)}-${spanId}-01`]]],
  ])('makes one trace and three spans of three calls: %s', async (_what, headers) => {
    const parents = (await harness.send(headers, 3)).map((seen) => (seen['traceparent']?.[0] ?? '').split('-'));
    expect(new Set(parents.map(([, trace]) => trace)).size).toBe(1);
    expect(new Set(parents.map(([, , span]) => span)).size).toBe(3);
    expect(parents[0]?.[1] === traceId).toBe(headers[0] === good);
  });

  it('keeps many requests at once apart', async () => {
    const ids = Array.from({ length: 100 }, (_, i) => (i + 1).toString(16).padStart(32, '0'));
    const all100 = await Promise.all(ids.map((id) => harness.send([['traceparent', `00-${id}-${spanId}-01`]], 3)));
    for (const [index, calls] of all100.entries()) {
      for (const seen of calls) expect(seen['traceparent']?.[0]?.slice(3, 35)).toBe(ids[index]);
    }
  });
});
