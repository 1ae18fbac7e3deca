import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { MnopsError } from '../errors/mnops-error.js';
import type { Call, Spi, SpiKind } from '../spi/base.js';
import type { FaultScript } from './fault-server.js';
import { type TestCall, testCall } from './test-call.js';

/** The two functions of a test runner that a contract needs; those of vitest and `node:test` fit. */
export interface ContractRunner {
  readonly describe: (name: string, body: () => void) => unknown;
  readonly it: (name: string, body: () => Promise<void>) => unknown;
}

/** What a contract is given for each case: a fresh provider and what belongs to it. */
export interface ContractSubject<P> {
  readonly provider: P;
  /** Makes the back end fail, where it is remote. Without it the cases about failures of a back end hold trivially. */
  readonly faults?: FaultScript | undefined;
  /** Secret texts that the provider was given; no failure may show one. */
  readonly secrets?: readonly string[] | undefined;
  /** Frees what `create` took. */
  close?(): Promise<void>;
}

/** Runs each case on a subject of its own and frees it, whatever happens. */
export function casesOf<S extends { close?(): Promise<void> }>(
  runner: ContractRunner,
  create: () => Promise<S>,
): (name: string, body: (subject: S) => Promise<void>) => void {
  return (name, body) => {
    runner.it(name, async () => {
      const subject = await create();
      try {
        await body(subject);
      } finally {
        await subject.close?.();
      }
    });
  };
}

/** The cases that hold for every provider: versioned data with its role and a stable id. */
export function identityCases<P extends Spi<SpiKind>>(
  test: (name: string, body: (subject: ContractSubject<P>) => Promise<void>) => void,
  kind: P['kind'],
): void {
  test('is versioned data with its role and a stable id', async ({ provider }) => {
    assert.equal(provider.specVersion, 1);
    assert.equal(provider.kind, kind);
    assert.match(provider.id, /^[a-z0-9]+(-[a-z0-9]+)*$/);
  });

  test('opens before use and closes twice without complaint', async ({ provider }) => {
    await provider.open?.(testCall());
    await provider.close?.(testCall());
    await provider.close?.(testCall());
  });
}

/** One call of a provider that goes to its back end. */
export interface RemoteOperation<P> {
  run(provider: P, call: Call): Promise<unknown>;
  /** Whether it needs what the answer's body says, so that a damaged body is a failure. */
  readonly readsBody: boolean;
}

/**
 * The cases about a back end that fails: refused rights, throttling with Retry-After, broken servers, damaged and
 * endless answers, redirects, silence. Each also holds that nothing is repeated in secret and no secret is shown.
 */
export function remoteFailureCases<P>(
  test: (name: string, body: (subject: ContractSubject<P>) => Promise<void>) => void,
  operations: Readonly<Record<string, RemoteOperation<P>>>,
): void {
  for (const [name, { run, readsBody }] of Object.entries(operations)) {
    for (const [status, code, retryable] of refusals) {
      test(`${name}: an answer ${status} is ${code}`, async (subject) => {
        const { faults } = subject;
        if (faults === undefined) return;
        const headers: Record<string, string> = status === 429 || status === 503 ? { 'retry-after': '2' } : {};
        faults.next({ status, headers, body: {} });
        const error = await failure(subject, (call) => run(subject.provider, call));
        assert.equal(error.code, code);
        assert.equal(error.retryable, retryable);
        if (status === 429 || status === 503) assert.equal(error.retryAfterMs, 2_000);
        assert.equal(faults.requests.length, 1, 'one call is one request: the host repeats, not the provider');
      });
    }

    test(`${name}: a redirect is not followed`, async (subject) => {
      const { faults } = subject;
      if (faults === undefined) return;
      faults.next({ status: 307, headers: { location: '/elsewhere' } });
      await failure(subject, (call) => run(subject.provider, call));
      assert.equal(faults.requests.length, 1);
    });

    test(`${name}: a connection that breaks is MNOPS_CORE_UNAVAILABLE`, async (subject) => {
      if (subject.faults === undefined) return;
      subject.faults.next('reset');
      const error = await failure(subject, (call) => run(subject.provider, call));
      assert.equal(error.code, 'MNOPS_CORE_UNAVAILABLE');
      assert.equal(error.retryable, true);
      assert.equal(subject.faults.requests.length, 1);
    });

    if (readsBody) damagedAnswerCases(test, name, run);

    test(`${name}: an abort ends it at once with its reason`, async (subject) => {
      if (subject.faults === undefined) return;
      subject.faults.next('hang');
      await assertAborts(subject, run);
    });

    test(`${name}: a call that is aborted already sends nothing`, async (subject) => {
      if (subject.faults === undefined) return;
      const call = testCall();
      const reason = new Error('aborted before');
      call.abort(reason);
      const error = await run(subject.provider, call).then(succeeded, (caught: unknown) => caught);
      assert.equal(error, reason);
      assert.equal(subject.faults.requests.length, 0);
    });
  }
}

const refusals = [
  [401, 'MNOPS_CORE_UNAUTHENTICATED', false],
  [403, 'MNOPS_CORE_ACCESS_DENIED', false],
  [429, 'MNOPS_CORE_THROTTLED', true],
  [500, 'MNOPS_CORE_UNAVAILABLE', true],
  [503, 'MNOPS_CORE_UNAVAILABLE', true],
] as const;

function damagedAnswerCases<P>(
  test: (name: string, body: (subject: ContractSubject<P>) => Promise<void>) => void,
  name: string,
  run: RemoteOperation<P>['run'],
): void {
  test(`${name}: a body that is not what the protocol says is MNOPS_CORE_RESPONSE_INVALID`, async (subject) => {
    if (subject.faults === undefined) return;
    for (const body of ['{"cut', '<html>a proxy speaks</html>', '']) {
      subject.faults.next({ status: 200, headers: { 'content-type': 'application/json' }, body });
      const error = await failure(subject, (call) => run(subject.provider, call));
      assert.equal(error.code, 'MNOPS_CORE_RESPONSE_INVALID');
    }
  });

  test(`${name}: an answer that is cut short is a failure`, async (subject) => {
    if (subject.faults === undefined) return;
    subject.faults.next('truncated');
    const error = await failure(subject, (call) => run(subject.provider, call));
    assert.ok(['MNOPS_CORE_UNAVAILABLE', 'MNOPS_CORE_RESPONSE_INVALID'].includes(error.code), error.code);
  });

  test(`${name}: an endless answer is MNOPS_CORE_TOO_LARGE`, async (subject) => {
    if (subject.faults === undefined) return;
    subject.faults.next('oversized');
    const error = await failure(subject, (call) => run(subject.provider, call));
    assert.equal(error.code, 'MNOPS_CORE_TOO_LARGE');
  });
}

async function assertAborts<P>(subject: ContractSubject<P>, run: RemoteOperation<P>['run']): Promise<void> {
  const call = testCall();
  const running = run(subject.provider, call).then(succeeded, (caught: unknown) => caught);
  while (subject.faults?.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  const reason = new Error('aborted meanwhile');
  const abortedAt = performance.now();
  call.abort(reason);
  assert.equal(await running, reason);
  assert.ok(performance.now() - abortedAt < 2_000, 'the abort was seen at once');
}

/** The failure that an operation must end with; it shows none of the subject's secrets. */
export async function failure(
  subject: Pick<ContractSubject<unknown>, 'secrets'>,
  run: (call: TestCall) => Promise<unknown>,
): Promise<MnopsError> {
  const error = await run(testCall()).then(succeeded, (caught: unknown) => caught);
  assert.ok(MnopsError.is(error), `rejects with a MnopsError, not with ${String(error)}`);
  const shown = `${inspect(error, { depth: 10, showHidden: true })} ${error.stack}`;
  for (const secret of subject.secrets ?? []) assert.ok(!shown.includes(secret), 'a failure shows no secret');
  return error;
}

function succeeded(): never {
  assert.fail('resolved where it must reject');
}
