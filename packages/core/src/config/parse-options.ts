import { type GenericSchema, type InferOutput, safeParse } from 'valibot';
import { coreError } from '../errors/core-error.js';
import { MnopsError } from '../errors/mnops-error.js';
import { nearestName } from './nearest.js';
import { alternativesAt, expectedAt, inWords, messageAt, unknownKeys } from './schema-walk.js';

/** One thing that is wrong with a configuration. Nothing in it quotes a value. */
export interface ConfigIssue {
  /** Path of the field, such as `server.port`; empty for the whole. */
  readonly field: string;
  /** What would be right. */
  readonly expected: string;
  /** Kind of what was given, such as `string` or `nothing`. */
  readonly received: string;
  /** What to do. */
  readonly remedy: string;
}

interface PathItem {
  readonly key?: unknown;
  readonly value?: unknown;
  /** Whether the value or the key is wrong. */
  readonly origin?: string;
}

/** The parts of valibot's issues that are read; `received` and `input` hold values and are not. */
interface Issue {
  readonly kind: string;
  readonly type: string;
  readonly input: unknown;
  readonly expected: string | null;
  readonly message: string;
  readonly path?: readonly [PathItem, ...PathItem[]] | undefined;
  readonly issues?: readonly Issue[] | undefined;
}

/**
 * The options, checked and with the schema's defaults filled in. The input is not changed.
 *
 * @param name - Whose options they are; it begins the message.
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with every issue at once in `details.issues`: field, what is expected,
 * kind of what was received, remedy. Values are never quoted. Every unknown key is named, with the nearest known one.
 */
export function parseOptions<const S extends GenericSchema>(name: string, schema: S, input: unknown): InferOutput<S> {
  try {
    return checkedOptions(name, schema, input);
  } catch (error) {
    if (MnopsError.is(error)) throw error;
    // A getter or a proxy of the caller. What it throws may quote a value, so it is not handed on.
    throw configError(name, [
      {
        field: '',
        expected: 'options that can be read',
        received: 'some that throw when they are read',
        remedy: 'Pass plain values.',
      },
    ]);
  }
}

function checkedOptions<const S extends GenericSchema>(name: string, schema: S, input: unknown): InferOutput<S> {
  const issues = optionIssues(schema, input);
  if (issues.length > 0) throw configError(name, issues);
  const result = safeParse(schema, input);
  if (!result.success)
    throw configError(
      name,
      result.issues.flatMap((issue) => describe({ schema, input }, issue as Issue, [])),
    );
  return result.output;
}

/** The error for options that are wrong in a way that a schema cannot say; it lists every issue. */
export function configError(name: string, issues: readonly ConfigIssue[]): MnopsError {
  const lines = issues.map(({ field, expected, received, remedy }) => {
    const where = field === '' ? 'the options' : field;
    return `${where}: expected ${expected}, received ${received}. ${remedy}`;
  });
  const message =
    lines.length === 1
      ? `Invalid options of ${name}: ${lines[0]}`
      : `Invalid options of ${name}:\n- ${lines.join('\n- ')}`;
  return coreError('MNOPS_CORE_CONFIG_INVALID', message, { details: { issues } });
}

/** Everything that is wrong with an input, in the words of `ConfigIssue`. */
export function optionIssues(schema: GenericSchema, input: unknown): readonly ConfigIssue[] {
  const result = safeParse(schema, input);
  const found = result.issues?.flatMap((issue) => describe({ schema, input }, issue as Issue, [])) ?? [];
  const unknown = unknownKeys(schema, input).map(({ path, known, misplaced }): ConfigIssue => {
    if (misplaced !== undefined) return noObject(path.join('.'), misplaced);
    const near = nearestName(path.at(-1) ?? '', known);
    const hint = near === undefined ? `Known names: ${known.join(', ') || 'none'}.` : `Did you mean \`${near}\`?`;
    return {
      field: path.join('.'),
      expected: 'no such option',
      received: 'an unknown name',
      remedy: `Remove it. ${hint}`,
    };
  });
  const fields = new Set(unknown.map((issue) => issue.field));
  const wrong = unknown.filter(({ expected }) => expected === anObject).map(({ field }) => field);
  const isInside = (field: string): boolean => wrong.some((outer) => outer === '' || field.startsWith(`${outer}.`));
  const unique = new Map<string, ConfigIssue>();
  for (const issue of [...found.filter(({ field }) => !fields.has(field) && !isInside(field)), ...unknown]) {
    const known = unique.get(issue.field);
    if (known === undefined) unique.set(issue.field, issue);
    else if (known.expected !== issue.expected) {
      unique.set(issue.field, { ...known, expected: `${known.expected} or ${issue.expected}` });
    }
  }
  return [...unique.values()];
}

const anObject = 'a plain object';

function noObject(field: string, value: object): ConfigIssue {
  const received = kindOf(value);
  const place = field === '' ? 'the options' : `\`${field}\``;
  const advice = value instanceof Promise ? ' Await the promise before.' : '';
  return { field, expected: anObject, received, remedy: `Change ${place} to ${anObject}.${advice}` };
}

/** What is checked, and by what. */
interface Checked {
  readonly schema: GenericSchema;
  readonly input: unknown;
}

function describe(checked: Checked, issue: Issue, above: readonly string[]): readonly ConfigIssue[] {
  const path = [...above, ...pathOf(issue)];
  // A union that fails deeper than at its own place failed in the shape that was meant.
  const deeper = issue.issues?.filter((part) => part.path !== undefined) ?? [];
  const alternatives = deeper.every(isAboutKeys) ? alternativesAt(checked.schema, path, checked.input) : [];
  if (alternatives.length < 2 && deeper.length > 0) return deeper.flatMap((part) => describe(checked, part, path));
  const last = issue.path?.at(-1);
  // A check of several fields has all of them as its input, and its path leads to the one that it blames.
  const received = kindOf(last?.origin === 'value' ? last.value : issue.input);
  const expected =
    deeper.length > 0 ? `an object with exactly one of ${alternatives.join(', ')}` : expectation(checked, issue, path);
  const field = path.join('.');
  const place = field === '' ? 'the options' : `\`${field}\``;
  const verb = received === 'nothing' ? 'Set' : 'Change';
  return [{ field, expected, received, remedy: `${verb} ${place} to ${expected}.` }];
}

/** A key that is missing, or one that a shape does not have; nothing is wrong with what stands there. */
function isAboutKeys({ path, input, expected }: Issue): boolean {
  return path?.length === 1 && (input === undefined || expected === 'never');
}

function pathOf(issue: Issue): readonly string[] {
  return issue.path?.map((item) => String(item.key)) ?? [];
}

function expectation({ schema, input }: Checked, issue: Issue, path: readonly string[]): string {
  if (issue.kind === 'schema') {
    const ofUnion = issue.type === 'union' ? own(issue) : undefined;
    if (ofUnion !== undefined) return ofUnion;
    // A message that stands in the schema as text was written before there was a value, so it repeats none.
    const words = expectedAt(schema, path, input) ?? messageAt(schema, path, input);
    if (issue.type === 'variant' || words === undefined)
      return known(issue.expected) ?? own(issue) ?? 'another kind of value';
    return words;
  }
  return own(issue) ?? known(named(issue.type)) ?? sized(issue) ?? 'another value';
}

function known(text: string | null | undefined): string | undefined {
  return text === null || text === undefined || text === 'unknown' || text === 'never' ? undefined : inWords([text]);
}

/** A message that the author of the schema wrote, unless it repeats the value; valibot's own begin with `Invalid`. */
function own(issue: Issue): string | undefined {
  if (issue.message.startsWith('Invalid ')) return undefined;
  const { input } = issue;
  // A few letters are in any sentence, and are no secret.
  const quotes = (typeof input === 'string' || typeof input === 'number') && issue.message.includes(String(input));
  return quotes && String(input).length > 3 ? undefined : issue.message.replace(/\.$/, '');
}

function named(type: string): string | undefined {
  const words: Readonly<Record<string, string>> = {
    url: 'a URL',
    email: 'an e-mail address',
    integer: 'a whole number',
    safe_integer: 'a whole number',
    finite: 'a finite number',
    non_empty: 'at least one character or item',
    iso_timestamp: 'a timestamp such as 2026-01-31T12:00:00Z',
    ip: 'an IP address',
    uuid: 'a UUID',
  };
  return words[type];
}

function sized(issue: Issue): string | undefined {
  const { expected, type } = issue;
  if (expected === null) return undefined;
  if (type.endsWith('length')) return `a length ${expected}`;
  if (type === 'regex') return `text that matches ${expected}`;
  return `a value ${expected}`;
}

/** Kind of a value, in one word or two. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (value === '') return 'empty string';
  if (Array.isArray(value)) return 'array';
  if (value instanceof Promise) return 'promise';
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : 'date';
  if (value instanceof Map || value instanceof Set) return value instanceof Map ? 'Map' : 'Set';
  if (typeof value === 'number' && !Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : 'infinite number';
  return typeof value;
}
