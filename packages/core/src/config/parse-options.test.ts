import fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { MnopsError } from '../errors/mnops-error.js';
import { type ConfigIssue, configError, parseOptions } from './parse-options.js';
import { clockSchema, credentialSchema, providerSchema, serviceSchema } from './schemas.js';

const schema = v.strictObject({
  url: v.pipe(v.string(), v.url()),
  maxBytes: v.optional(v.pipe(v.number(), v.integer(), v.minValue(3)), 10),
  schedule: v.optional(v.union([v.picklist(['daily', 'hourly']), v.strictObject({ everyMs: v.number() })])),
  tags: v.optional(v.array(v.strictObject({ name: v.string() }))),
  limits: v.optional(v.record(v.string(), v.number())),
  transport: v.optional(v.variant('type', [v.strictObject({ type: v.literal('tcp'), port: v.number() })])),
  onEvent: v.optional(v.custom<() => void>((value) => typeof value === 'function', 'a function')),
  word: v.optional(
    v.pipe(
      v.string(),
      v.check((value) => value.length > 3, 'a text of more than three letters'),
    ),
  ),
});

function issuesOf(input: unknown): readonly ConfigIssue[] {
  try {
    parseOptions('thing', schema, input);
  } catch (error) {
    expect(MnopsError.is(error, 'MNOPS_CORE_CONFIG_INVALID')).toBe(true);
    return (error as MnopsError).details?.['issues'] as readonly ConfigIssue[];
  }
  return [];
}

describe('parseOptions', () => {
  it('returns the options with defaults, and leaves the input alone', () => {
    const input = Object.freeze({ url: 'https://a.test' });
    expect(parseOptions('thing', schema, input)).toEqual({ url: 'https://a.test', maxBytes: 10 });
  });

  it('lists every issue at once', () => {
    const issues = issuesOf({
      maxBytes: 1,
      schedule: { everyMs: 'x' },
      tags: [{ name: 1 }, { nam: 'a' }],
      limits: { a: 'b' },
    });
    expect(issues.map(({ field, expected, received }) => `${field}|${expected}|${received}`).sort()).toEqual([
      'limits.a|number|string',
      'maxBytes|a value >=3|number',
      'schedule.everyMs|number|string',
      'tags.0.name|string|number',
      'tags.1.name|string|nothing',
      'tags.1.nam|no such option|an unknown name',
      'url|string|nothing',
    ]);
  });

  it('names every unknown key with the nearest known one', () => {
    const issues = issuesOf({
      url: 'https://a.test',
      maxbytes: 1,
      on_event: 2,
      zebra: 3,
      schedule: { every: 1, everyMs: 1 },
    });
    expect(issues.map(({ field, remedy }) => `${field}: ${remedy}`)).toEqual([
      'maxbytes: Remove it. Did you mean `maxBytes`?',
      'on_event: Remove it. Did you mean `onEvent`?',
      expect.stringMatching(/^zebra: Remove it\. Known names: url, maxBytes/),
      'schedule.every: Remove it. Did you mean `everyMs`?',
    ]);
  });

  it('says what is wrong with checks, variants, unions and functions', () => {
    const given = { url: 'no url', onEvent: 1, word: 'abc', transport: { type: 'udp' }, schedule: 'weekly' };
    const issues = issuesOf(given);
    expect(Object.fromEntries(issues.map((issue) => [issue.field, issue.expected]))).toEqual({
      url: 'a URL',
      onEvent: 'a function',
      word: 'a text of more than three letters',
      'transport.type': '"tcp"',
      schedule: '"daily", "hourly" or an object',
    });
  });

  it('says in the words of the schema what is missing', () => {
    const needy = v.strictObject({
      connect: v.custom<() => void>((value) => typeof value === 'function', 'a function'),
    });
    expect(() => parseOptions('thing', needy, {})).toThrow(
      'Invalid options of thing: connect: expected a function, received nothing. Set `connect` to a function.',
    );
  });

  it('says in the words of the schema what is expected, also where the value is in them', () => {
    const needy = v.strictObject({
      list: v.optional(v.custom<readonly string[]>(Array.isArray, 'a list of links')),
      word: v.optional(
        v.pipe(
          v.string(),
          v.check((text) => text !== 'a', 'a text of more than three letters'),
        ),
      ),
    });
    expect(() => parseOptions('thing', needy, { list: 'links' })).toThrow('expected a list of links, received string');
    expect(() => parseOptions('thing', needy, { word: 'a' })).toThrow(
      'expected a text of more than three letters, rec',
    );
  });

  it('goes by the chosen one of several variants, also where they hold each other', () => {
    const shape: v.GenericSchema<unknown> = v.variant('type', [
      v.strictObject({ type: v.picklist(['tcp', 'udp']), port: v.number() }),
      v.strictObject({ type: v.literal('unix'), path: v.string(), port: v.optional(v.string()) }),
      v.strictObject({ type: v.literal('both'), first: v.lazy(() => shape) }),
    ]);
    const variants = v.strictObject({ transport: shape });
    const messageOf = (transport: unknown): string => {
      try {
        parseOptions('thing', variants, { transport });
      } catch (error) {
        return (error as MnopsError).message.replace('Invalid options of thing: ', '');
      }
      return 'taken';
    };
    const unknown = 'expected no such option, received an unknown name. Remove it.';
    expect(messageOf({ type: 'tcp', port: 1, path: '/x' })).toBe(`transport.path: ${unknown} Known names: type, port.`);
    expect(messageOf({ type: 'unix', path: '/x', pathh: 1 })).toBe(
      `transport.pathh: ${unknown} Did you mean \`path\`?`,
    );
    expect(messageOf({ type: 'both', first: { type: 'udp', port: 1, path: '/x' } })).toBe(
      `transport.first.path: ${unknown} Known names: type, port.`,
    );
    expect(messageOf({ type: 'udp', port: 'x' })).toBe(
      'transport.port: expected number, received string. Change `transport.port` to number.',
    );
    expect(messageOf({ type: 'other', port: 1, path: '/x' })).toMatch(/^transport\.type: expected /);
    expect(messageOf({ type: 'both', first: { type: 'unix', path: '/x' } })).toBe('taken');
  });

  it('names the alternatives where one of several objects is meant', () => {
    const login = v.strictObject({
      auth: v.union([
        v.strictObject({ token: v.string() }),
        v.strictObject({ appRole: v.strictObject({ roleId: v.string(), secretId: v.string() }) }),
      ]),
    });
    const expected = 'an object with exactly one of token, appRole';
    const both = { auth: { token: 't', appRole: { roleId: 'r', secretId: 's' } } };
    for (const input of [{ auth: {} }, both]) {
      expect(() => parseOptions('thing', login, input)).toThrow(
        `Invalid options of thing: auth: expected ${expected}, received object. Change \`auth\` to ${expected}.`,
      );
    }
    expect(() => parseOptions('thing', login, { auth: { approle: 1 } })).toThrow(/Did you mean `appRole`\?/);
    expect(() => parseOptions('thing', login, { auth: { appRole: { roleId: 'r' } } })).toThrow(
      /auth\.appRole\.secretId/,
    );
  });

  it('refuses what is no object, and an own __proto__', () => {
    expect(issuesOf(undefined)).toMatchObject([{ field: '', expected: 'an object', received: 'nothing' }]);
    expect(issuesOf(JSON.parse('{ "url": "https://a.test", "__proto__": { "x": 1 } }'))).toMatchObject([
      { field: '__proto__', expected: 'no such option' },
    ]);
  });

  it('refuses what would pass as an object without fields', () => {
    const nested = v.strictObject({
      limits: v.optional(v.strictObject({ max: v.number() })),
      list: v.optional(v.array(v.strictObject({ name: v.string() }))),
      open: v.optional(v.record(v.string(), v.number())),
      any: v.optional(v.unknown()),
    });
    const message = (input: unknown): string => {
      try {
        parseOptions('thing', nested, input);
      } catch (error) {
        return (error as MnopsError).message.replace('Invalid options of thing: ', '');
      }
      return 'taken';
    };
    const expected = 'expected a plain object, received';
    expect(message([])).toBe(`the options: ${expected} array. Change the options to a plain object.`);
    expect(message([null])).toBe(`the options: ${expected} array. Change the options to a plain object.`);
    expect(message(new Map([['limits', 1]]))).toBe(
      `the options: ${expected} Map. Change the options to a plain object.`,
    );
    expect(message(Promise.resolve({}))).toBe(
      `the options: ${expected} promise. Change the options to a plain object. Await the promise before.`,
    );
    expect(message({ limits: new Date(), list: [{ name: 'a' }], open: {} })).toBe(
      `limits: ${expected} date. Change \`limits\` to a plain object.`,
    );
    expect(message({ list: [Promise.resolve()] })).toMatch(/^list\.0: expected a plain object, received promise\./);
    expect(message({ list: [], any: [new Map()] })).toBe('taken');
    expect(message({ list: Promise.resolve() })).toBe(
      'list: expected a list, received promise. Change `list` to a list.',
    );
  });

  it('names each choice once, in words', () => {
    const chosen = v.strictObject({
      sampler: v.optional(
        v.variant('kind', [
          v.strictObject({ kind: v.picklist(['on', 'off']) }),
          v.strictObject({ kind: v.literal('ratio'), share: v.number() }),
        ]),
      ),
      signals: v.optional(v.array(v.picklist(['a', 'b']))),
      token: v.optional(credentialSchema),
    });
    const parse = (input: unknown) => (): unknown => parseOptions('thing', chosen, input);
    expect(parse({ sampler: { kind: 'x' } })).toThrow(
      'sampler.kind: expected "on", "off" or "ratio", received string. Change `sampler.kind` to "on", "off" or "ratio".',
    );
    expect(parse({ signals: ['c'] })).toThrow('signals.0: expected "a" or "b", received string.');
    expect(parse({ sampler: 'on' })).toThrow('sampler: expected an object, received string.');
    expect(parse({ token: 5 })).toThrow('token: expected text or a function that returns it, received number.');
  });

  it('says so when the options cannot be read', () => {
    const throwing = (): never => {
      throw new Error('c4nary');
    };
    const unreadable = [
      Object.defineProperty({}, 'url', { get: throwing, enumerable: true }),
      new Proxy({}, { get: throwing }),
    ];
    for (const input of unreadable) {
      const parse = (): unknown => parseOptions('thing', schema, input);
      expect(parse).toThrow('Invalid options of thing: the options: expected options that can be read, received some');
      expect(parse).not.toThrow(/c4nary/);
    }
  });

  it('never quotes a value', () => {
    const canary = 'c4nary-s3cret';
    const value = fc.oneof(
      fc.constant(canary),
      fc.constant([canary]),
      fc.constant({ [`x`]: canary }),
      fc.constant(() => canary),
    );
    const input = fc.dictionary(fc.constantFrom(...Object.keys(schema.entries), 'other'), value);
    fc.assert(
      fc.property(input, (given) => {
        try {
          parseOptions('thing', schema, given);
        } catch (error) {
          const { message, details, cause, stack } = error as MnopsError;
          expect(`${message}${JSON.stringify(details)}${String(cause)}${stack}`).not.toContain(canary);
        }
      }),
    );
  });

  it('drops a message of the schema that repeats the value', () => {
    const leaky = v.strictObject({
      a: v.pipe(
        v.string(),
        v.check(
          () => false,
          (issue) => `bad ${issue.input}`,
        ),
      ),
    });
    expect(() => parseOptions('thing', leaky, { a: 'hunter2' })).toThrow(/a: expected another value, received string/);
  });
});

describe('a union of a provider and options', () => {
  const either = v.strictObject({
    source: v.union([providerSchema('object-store', ['get']), v.strictObject({ folder: v.string() })]),
  });

  it('takes the provider with whatever it has, and names unknown options', () => {
    const source = { specVersion: 1, kind: 'object-store', id: 'x', get() {}, capabilities: { ranges: true } };
    expect(parseOptions('host', either, { source })).toEqual({ source });
    expect(() => parseOptions('host', either, { source: { foldr: 'x' } })).toThrow('Did you mean `folder`?');
  });
});

describe('ready schemas', () => {
  it('know services, clocks, credentials and providers', () => {
    const all = v.strictObject({
      service: serviceSchema,
      clock: clockSchema,
      token: credentialSchema,
      store: providerSchema('object-store', ['get']),
    });
    const bad = {
      service: { nmae: 'a' },
      clock: {},
      token: '',
      store: { specVersion: 1, kind: 'lease', id: 'x', get() {} },
    };
    const error = catchError(() => parseOptions('host', all, bad));
    expect(error.message).toContain(
      'service.nmae: expected no such option, received an unknown name. Remove it. Did you mean `name`?',
    );
    expect(error.message).toContain('clock: expected a clock with now, monotonic, sleep and setTimer, received object');
    expect(error.message).toContain('store: expected a provider of kind object-store, received object');
    expect(error.message).toContain('token: ');
  });
});

it('configError lists its issues', () => {
  const error = configError('plan', [{ field: 'a', expected: 'b', received: 'c', remedy: 'Do d.' }]);
  expect(error.message).toBe('Invalid options of plan: a: expected b, received c. Do d.');
  expect(error).toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID', retryable: false });
});

function catchError(run: () => unknown): MnopsError {
  try {
    run();
  } catch (error) {
    return error as MnopsError;
  }
  throw new Error('nothing was thrown');
}
