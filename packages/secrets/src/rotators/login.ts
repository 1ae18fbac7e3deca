import { coreError } from '@mnops/core';
import type { AppliedRotationContext, RotationContext, SecretValue } from '@mnops/core/spi';
import { secretsError } from '../codes.js';
import { fieldsOf, objectOf } from '../composites/key-values.js';

/** A login as a secret holds it: a JSON object with `user` (or `username`), `password` and whatever else belongs to it. */
export interface Login {
  readonly user: string;
  readonly password: string;
  /** The secret's field `host`, if it has one. */
  readonly host?: string | undefined;
  /** The secret's field `port`, if it has one. */
  readonly port?: number | undefined;
  /** The secret's field `database` or `dbname`, if it has one. */
  readonly database?: string | undefined;
  /** The whole object. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What a step changes: from which login, to which, and with which rights. */
export interface LoginChange {
  readonly old: Login;
  readonly next: Login;
  readonly admin: Login | undefined;
  /** Whether another user takes over, so that the old one stays as it is. */
  readonly changesUser: boolean;
}

const cloneSuffix = '_clone';
const userFields = ['user', 'username'] as const;

/**
 * Reads a login.
 *
 * @throws {MnopsError} `MNOPS_SECRETS_VALUE_INVALID` that names the field which is missing or of another type.
 */
export function loginOf(value: SecretValue): Login {
  const fields = value.json();
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields))
    throw invalid(value.path, '(root)', 'it is not a JSON object');
  const record = fields as Readonly<Record<string, unknown>>;
  if (userFields.every((name) => Object.hasOwn(record, name)))
    throw invalid(value.path, 'username', 'it has the field "user" as well');
  const user = textOf(value.path, record, userFieldOf(record));
  return {
    user,
    password: textOf(value.path, record, 'password'),
    host: Object.hasOwn(record, 'host') ? textOf(value.path, record, 'host') : undefined,
    port: portOf(value.path, record),
    database: ['database', 'dbname'].map((name) => record[name]).find((name) => typeof name === 'string'),
    fields: record,
  };
}

/** The value of the next login: the same object with another password, and under `dual-user` with the other user. */
export function nextLogin({ current, strategy }: RotationContext, password: string, maxUserBytes: number): string {
  const { user, fields } = loginOf(current);
  const next = strategy === 'dual-user' ? otherUser(user) : user;
  if (Buffer.byteLength(next) > maxUserBytes)
    throw invalid(current.path, userFieldOf(fields), `the name of the other user would be over ${maxUserBytes} bytes`);
  // Field by field as they are written: a number may have more digits than JavaScript keeps.
  const written = new Map(fieldsOf(current.bytes()));
  written.set(userFieldOf(fields), JSON.stringify(next)).set('password', JSON.stringify(password));
  return Buffer.from(objectOf(written)).toString();
}

/**
 * What a step has to change, once it is certain that nobody exchanged the target: the pending value differs from the
 * current one in its password, and in its user only by the suffix; the admin is another user on the same host.
 *
 * @throws {MnopsError} `MNOPS_SECRETS_VALUE_INVALID` that names the field.
 */
export function loginChange({ path, current, pending, admin }: AppliedRotationContext): LoginChange {
  const [old, next] = [loginOf(current), loginOf(pending)];
  const userField = userFieldOf(old.fields);
  if (next.user !== old.user && next.user !== otherUser(old.user))
    throw invalid(path, userField, 'the pending value is for a user that is not one of the pair');
  for (const name of new Set([...Object.keys(old.fields), ...Object.keys(next.fields)])) {
    if (name === userField || name === 'password') continue;
    if (JSON.stringify(old.fields[name]) !== JSON.stringify(next.fields[name]))
      throw invalid(path, name, 'the pending value has another one than the current value');
  }
  const administrator = admin === undefined ? undefined : loginOf(admin);
  if (admin !== undefined && administrator !== undefined) {
    if (administrator.user === old.user || administrator.user === next.user)
      throw invalid(admin.path, userFieldOf(administrator.fields), 'it is the user that would be changed with it');
    if (administrator.host !== undefined && old.host !== undefined && administrator.host !== old.host)
      throw invalid(admin.path, 'host', `it is another one than that of ${path}`);
  }
  return { old, next, admin: administrator, changesUser: next.user !== old.user };
}

/** The admin's login, where a rotator cannot do without. The host gives it whenever the rotator names its path. */
export function assertAdmin(id: string, admin: Login | undefined): Login {
  if (admin !== undefined) return admin;
  throw coreError('MNOPS_CORE_NOT_FOUND', `${id}: the secret of its admin was not given.`, { provider: id });
}

function otherUser(user: string): string {
  return user.endsWith(cloneSuffix) && user !== cloneSuffix ? user.slice(0, -cloneSuffix.length) : user + cloneSuffix;
}

function userFieldOf(fields: Readonly<Record<string, unknown>>): string {
  return Object.hasOwn(fields, 'username') ? 'username' : 'user';
}

function textOf(path: string, fields: Readonly<Record<string, unknown>>, name: string): string {
  if (!Object.hasOwn(fields, name)) throw invalid(path, name, 'it is missing');
  const text = fields[name];
  if (typeof text !== 'string' || text === '') throw invalid(path, name, 'it is not a text, or empty');
  if (text.includes('\0')) throw invalid(path, name, 'it has a NUL character');
  return text;
}

function portOf(path: string, fields: Readonly<Record<string, unknown>>): number | undefined {
  if (!Object.hasOwn(fields, 'port')) return undefined;
  const port = Number(fields['port']);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw invalid(path, 'port', 'it is not a port number');
}

function invalid(path: string, field: string, why: string): Error {
  return secretsError(
    'MNOPS_SECRETS_VALUE_INVALID',
    `The secret ${path} is not a login that can be rotated: its field "${field}": ${why}.`,
    {
      remedy: 'Store a JSON object with `user` or `username`, `password`, and the rest that your programs need.',
      details: { path, field, why },
    },
  );
}
