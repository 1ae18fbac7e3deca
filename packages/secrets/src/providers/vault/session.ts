import { callOf, coreError, credential } from '@mnops/core';
import { type SingleFlight, singleFlight } from '@mnops/core/resilience';
import type { Call, Clock, Timer } from '@mnops/core/spi';
import type { VaultAnswer, VaultRequest } from './answers.js';
import { grantOf, lifeOf, loginRequest, type SignIn, type TokenGrant } from './login.js';
import type { VaultAuth } from './options.js';
import { providerId, vaultError } from './vault-error.js';

/** Sends one request; refusals are answers. */
export type Exchange = (request: VaultRequest, token: string | undefined, call: Call) => Promise<VaultAnswer>;

/** Time and chance of a session. */
export interface SessionContext {
  readonly clock: Clock;
  /** 0 to 1. */
  readonly random: () => number;
}

interface HeldToken {
  readonly token: string;
  readonly renewable: boolean;
  /** What the sign-in granted, milliseconds. */
  readonly firstTtlMs: number;
  /** On the monotonic clock. */
  endsAt: number;
  /** From here on the next use signs in anew, on the monotonic clock. */
  replaceAt: number;
  /** Whether Vault grants no more: the token comes to its longest life. */
  last: boolean;
  /** When Vault was last seen to know the token, on the monotonic clock. */
  knownAt: number;
}

const firstBackOffMs = 10_000;
const longestBackOffMs = 300_000;
const renewalTimeoutMs = 30_000;
/** For so long a refusal is taken as one of a policy, without asking whether the token is alive. */
const knownForMs = 10_000;

const renewSelf: VaultRequest = {
  method: 'POST',
  path: 'auth/token/renew-self',
  body: {},
  operation: 'renew-self',
  repeatable: true,
};
const lookupSelf: VaultRequest = {
  method: 'GET',
  path: 'auth/token/lookup-self',
  operation: 'lookup-self',
  repeatable: true,
};

/**
 * The life of one token: signed in once for all who ask, renewed after two thirds of what is left and some spread, with
 * pauses of 10 s doubling to 5 min when a renewal fails, until the token dies; the next use signs in again.
 */
export class VaultSession {
  readonly #auth: VaultAuth;
  readonly #exchange: Exchange;
  readonly #context: SessionContext;
  readonly #flights: SingleFlight<'login' | 'lookup', boolean>;
  #held: HeldToken | undefined;
  #timer: Timer | undefined;
  #failures = 0;
  /** Changes with `close`, so that what was under way then has no effect. */
  #generation = 0;
  #closed = false;
  #background = new AbortController();
  /** Resolver of the latest caller, for work that is shared or done between calls. */
  #secret: Call['secret'] | undefined;

  constructor(auth: VaultAuth, exchange: Exchange, context: SessionContext) {
    this.#auth = auth;
    this.#exchange = exchange;
    this.#context = context;
    const secret = (reference: string): Promise<string> => this.#resolve(reference);
    this.#flights = singleFlight({ clock: context.clock, secret });
  }

  /** Signs in. A token that was given is looked up, and renewed from now on where that is possible. */
  async open(call: Call): Promise<void> {
    const auth = this.#auth;
    this.#secret = call.secret;
    if (!('token' in auth)) {
      await this.token(call);
      return;
    }
    const generation = this.#generation;
    const token = await credential(auth.token, call);
    const answer = await this.#exchange(lookupSelf, token, call);
    // A policy may forbid the look; then nothing is known of the token's end, and nothing is renewed.
    if (answer.status !== 200 || generation !== this.#generation) return;
    this.#hold({ token, ...lifeOf(answer) }, this.#context.clock.monotonic());
  }

  /** The token for a request. */
  async token(call: Call): Promise<string> {
    this.#assertOpen();
    this.#secret = call.secret;
    if ('token' in this.#auth) {
      const given = await credential(this.#auth.token, call);
      // Somebody put another one in its place, and keeps that alive.
      if (this.#held !== undefined && this.#held.token !== given) this.#drop();
      return given;
    }
    const now = this.#context.clock.monotonic();
    const held = this.#held;
    if (held !== undefined && now < held.replaceAt) return held.token;
    try {
      await this.#login(this.#auth, call);
    } catch (error) {
      // The old one still works while the way to sign in is out of order.
      if (held === undefined || call.signal.aborted || this.#context.clock.monotonic() >= held.endsAt) throw error;
      return held.token;
    }
    return this.#current();
  }

  /**
   * Whether another token is there after a request was refused with this one. A token that Vault still knows was refused
   * by a policy: then the answer is no.
   */
  async replaced(refused: string, call: Call): Promise<boolean> {
    const auth = this.#auth;
    if ('token' in auth) return false;
    const held = this.#held;
    if (held !== undefined && held.token !== refused) return true;
    const now = this.#context.clock.monotonic();
    if (held !== undefined && now < held.endsAt) {
      if (now - held.knownAt < knownForMs) return false;
      if (await this.#isKnown(held, call)) return false;
    }
    if (this.#held === held) this.#drop();
    await this.#login(auth, call);
    return true;
  }

  /** Nothing is sent from now on, and what comes back of earlier requests has no effect. */
  close(): void {
    this.#closed = true;
    this.#generation += 1;
    this.#background.abort(closedError());
    this.#drop();
  }

  async #login(auth: SignIn, call: Call): Promise<void> {
    const { clock } = this.#context;
    const generation = this.#generation;
    await this.#flights.run(
      'login',
      async (shared) => {
        const request = await loginRequest(auth, shared);
        const began = clock.monotonic();
        const answer = await this.#exchange(request, undefined, shared);
        if (generation !== this.#generation) throw closedError();
        if (answer.status !== 200) throw loginRefused(answer.status);
        this.#hold(grantOf(answer, 'login'), began);
        return true;
      },
      { signal: call.signal, timeoutMs: call.remainingMs() },
    );
  }

  async #isKnown(held: HeldToken, call: Call): Promise<boolean> {
    return await this.#flights.run(
      'lookup',
      async (shared) => {
        const answer = await this.#exchange(lookupSelf, held.token, shared);
        const known = answer.status === 200;
        if (known) held.knownAt = this.#context.clock.monotonic();
        return known;
      },
      { signal: call.signal, timeoutMs: call.remainingMs() },
    );
  }

  /** Keeps a grant that was asked for at an instant of the monotonic clock. */
  #hold({ token, ttlMs, renewable }: TokenGrant, began: number): void {
    const endsAt = began + ttlMs;
    // One that cannot be renewed is replaced a little before its end.
    const replaceAt = renewable || !Number.isFinite(endsAt) ? endsAt : endsAt - ttlMs / 10;
    const knownAt = Number.NEGATIVE_INFINITY;
    this.#held = { token, renewable, firstTtlMs: ttlMs, endsAt, replaceAt, last: false, knownAt };
    this.#failures = 0;
    this.#plan();
  }

  #drop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#held = undefined;
  }

  #plan(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const held = this.#held;
    if (held === undefined || !held.renewable || held.last || held.endsAt === Number.POSITIVE_INFINITY) return;
    const { clock, random } = this.#context;
    const left = held.endsAt - clock.monotonic();
    if (left <= 0) return;
    const grace = left * (0.1 + 0.1 * random());
    const backOff = Math.min(longestBackOffMs, firstBackOffMs * 2 ** Math.min(this.#failures - 1, 10));
    const waitMs = this.#failures === 0 ? (left * 2) / 3 + grace / 3 : Math.min(backOff, left);
    this.#timer = clock.setTimer(waitMs, () => void this.#renew(held));
  }

  async #renew(held: HeldToken): Promise<void> {
    const { clock } = this.#context;
    const began = clock.monotonic();
    if (this.#held !== held || began >= held.endsAt) return;
    const call = callOf({ signal: this.#background.signal, timeoutMs: renewalTimeoutMs, clock });
    let answer: VaultAnswer | undefined;
    try {
      answer = await this.#exchange(renewSelf, held.token, call);
      if (answer.status === 200) this.#prolong(held, grantOf(answer, 'renew-self'), began);
    } catch {
      answer = undefined;
    } finally {
      call.end();
    }
    if (this.#held !== held) return;
    if (answer?.status === 403 && !('token' in this.#auth)) {
      // Dead before its time; the next use signs in.
      this.#drop();
      return;
    }
    this.#failures = answer?.status === 200 ? 0 : this.#failures + 1;
    this.#plan();
  }

  #prolong(held: HeldToken, { ttlMs, renewable }: TokenGrant, began: number): void {
    held.endsAt = began + ttlMs;
    held.last = !renewable || ttlMs < held.firstTtlMs / 2;
    held.replaceAt = held.last ? held.endsAt - ttlMs / 3 : held.endsAt;
    held.knownAt = began;
  }

  #current(): string {
    this.#assertOpen();
    if (this.#held === undefined) throw vaultError(403, 'login');
    return this.#held.token;
  }

  async #resolve(reference: string): Promise<string> {
    if (this.#secret !== undefined) return await this.#secret(reference);
    throw coreError('MNOPS_CORE_CONFIG_INVALID', 'A secret reference was given, but no resolver.');
  }

  #assertOpen(): void {
    if (this.#closed) throw closedError();
  }
}

function closedError(): Error {
  return coreError('MNOPS_CORE_CLOSED', 'The connection to Vault is closed.', { provider: providerId });
}

/** Vault answers a wrong role, secret or token with 400 or 403. */
function loginRefused(status: number): Error {
  if (status !== 400 && status !== 401 && status !== 403) return vaultError(status, 'login');
  return coreError('MNOPS_CORE_UNAUTHENTICATED', `${providerId}: the sign-in was refused (${status}).`, {
    provider: providerId,
    operation: 'login',
    details: { status },
    remedy: 'Check the credentials in `auth`, and the role that they are for.',
  });
}
