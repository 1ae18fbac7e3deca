import { codeOf, coreError, MnopsError, untilAborted } from '@mnops/core';
import type { Call } from '@mnops/core/spi';
import type { Login } from './login.js';

/** Opens a connection as one user, with the driver of the caller's choice. It resolves once the server has let the user in. */
export type ConnectAs<C> = (login: Login, options: { readonly signal: AbortSignal }) => Promise<C>;

/** The part of a client that every driver's has: without a listener, a connection that breaks would end the process. */
export interface ClientEvents {
  on?(event: 'error', listener: (error: Error) => void): unknown;
}

/** What an error means: the login is refused, it lacks a right, the server cannot be reached, or it declined a command. */
export type ServerMeaning = 'refused' | 'denied' | 'down' | 'declined';

/** A kind of server as its rotator reaches it. */
export interface ServerKind<C> {
  readonly id: string;
  readonly connect: ConnectAs<C>;
  close(client: C): unknown;
  /** What a driver's error means, where its code says so. */
  meaningOf(code: string | undefined, message: string): ServerMeaning | undefined;
}

const networkCodes: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'ETIMEDOUT', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH'],
  ...['ENETUNREACH', 'ENOENT'],
]);

const codesOfMeanings = {
  refused: 'MNOPS_CORE_UNAUTHENTICATED',
  denied: 'MNOPS_CORE_ACCESS_DENIED',
  down: 'MNOPS_CORE_UNAVAILABLE',
  declined: 'MNOPS_CORE_RESPONSE_INVALID',
} as const;

/**
 * Works with a connection of one user and closes it, whatever happens. What the driver throws becomes an error with one
 * of core's codes; the passwords in `secrets` and the login's own are taken out of its message, and nothing else is kept.
 */
export async function withLogin<C extends ClientEvents, T>(
  kind: ServerKind<C>,
  login: Login,
  { call, secrets = [] }: { readonly call: Call; readonly secrets?: readonly string[] | undefined },
  use: (client: C) => Promise<T>,
): Promise<T> {
  const { signal } = call;
  let client: C | undefined;
  try {
    signal.throwIfAborted();
    const opening = kind.connect(login, { signal });
    client = await untilAborted(opening, signal).catch((error: unknown) => {
      // Nobody waits for it any more, but it may still come up.
      void opening.then((late) => closed(kind, late)).catch(() => undefined);
      throw error;
    });
    client.on?.('error', () => undefined);
    return await untilAborted(use(client), signal);
  } catch (error) {
    if (signal.aborted && error === signal.reason) throw error;
    throw serverError(kind, login, error, secrets);
  } finally {
    if (client !== undefined) await untilAborted(closed(kind, client), signal).catch(() => undefined);
  }
}

/** Whether the server lets a login in, and as the user that it names. That it cannot be asked is an error. */
export async function isAccepted<C extends ClientEvents>(
  kind: ServerKind<C>,
  login: Login,
  call: Call,
  isSessionOf: (client: C, login: Login) => Promise<boolean>,
): Promise<boolean> {
  try {
    return await withLogin(kind, login, { call }, (client) => isSessionOf(client, login));
  } catch (error) {
    if (MnopsError.is(error, 'MNOPS_CORE_UNAUTHENTICATED')) return false;
    throw error;
  }
}

/** The error of a connection that is another user's. */
export function otherSession(id: string, { user }: Login): MnopsError {
  return coreError('MNOPS_CORE_RESPONSE_INVALID', `${id}: the connection is not one of ${user}.`, {
    provider: id,
    remedy: 'Let `connect` log in with the `user` and `password` that it is given.',
  });
}

async function closed<C>(kind: ServerKind<C>, client: C): Promise<void> {
  await kind.close(client);
}

function serverError<C>(kind: ServerKind<C>, login: Login, error: unknown, secrets: readonly string[]): MnopsError {
  let said = error instanceof Error ? error.message : 'a value that is no error was thrown';
  for (const secret of [...secrets, login.password].sort((a, b) => b.length - a.length))
    said = said.replaceAll(secret, '[secret]');
  if (MnopsError.is(error)) {
    const { code, retryable, remedy, details } = error;
    return new MnopsError(code, said, { provider: kind.id, retryable, remedy, details });
  }
  const code = driverCode(error);
  const isNetwork = code !== undefined && networkCodes.has(code);
  const meaning = isNetwork ? 'down' : (kind.meaningOf(code, said) ?? (code === undefined ? 'down' : 'declined'));
  const shown = said.replaceAll(/\s+/g, ' ').slice(0, 300);
  const message = `${kind.id}: ${login.user} was answered: ${shown === '' ? (code ?? 'nothing') : shown}`;
  return coreError(codesOfMeanings[meaning], message, {
    provider: kind.id,
    details: { user: login.user, ...(code === undefined ? {} : { code }) },
  });
}

/** An error for several addresses of one host has the codes inside. */
function driverCode(error: unknown): string | undefined {
  const code = codeOf(error);
  if (code !== undefined || !(error instanceof AggregateError)) return code;
  return error.errors.map(codeOf).find((inner) => inner !== undefined);
}
