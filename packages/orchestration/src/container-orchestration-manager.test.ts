import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MnopsError } from '@mnops/core';
import { eventually } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startLoad } from './fixtures/load.js';
import { serviceConfig, serviceFile } from './fixtures/service-config.js';
import {
  ContainerOrchestrationManager,
  canary,
  errorShare,
  local,
  type OrchestrationResult,
  revisionOf,
} from './index.js';

let manager: ContainerOrchestrationManager;

beforeEach(async () => {
  manager = new ContainerOrchestrationManager({ provider: local() });
  await manager.start();
});

afterEach(async () => {
  await manager.stop();
});

function ask(port: number, path = '/'): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1', path, agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve(body));
    }).on('error', reject);
  });
}

function urlOf(service: string): string {
  return `\${service:${service}.url}`;
}

async function portOf(service = 'web'): Promise<number> {
  return (await manager.inspect(service))!.address!.port;
}

async function failureOf(run: Promise<unknown>): Promise<MnopsError & { result: OrchestrationResult }> {
  try {
    await run;
  } catch (error) {
    if (MnopsError.is(error)) return Object.assign(error, { result: error.details?.['result'] as OrchestrationResult });
    throw error;
  }
  throw new Error('It did not fail.');
}

describe('deploy', () => {
  it('runs a service and tells each instance who it is', async () => {
    const config = serviceConfig({ version: '1.4.0', environment: { COLOUR: 'blue' } });
    const result = await manager.deploy(config);
    expect(result.state).toBe('succeeded');
    const revision = revisionOf(config);
    const told = JSON.parse(await ask(await portOf(), '/env')) as Record<string, string>;
    expect(told).toMatchObject({
      COLOUR: 'blue',
      MNOPS_SERVICE: 'web',
      MNOPS_VERSION: '1.4.0',
      MNOPS_REVISION: revision,
    });
    expect(told).toMatchObject({ HOST: '127.0.0.1' });
    expect(told['MNOPS_INSTANCE']).toMatch(/^web-[0-9a-f]{6}-[12]$/);
    expect(Number(told['PORT'])).toBeGreaterThan(0);
    expect(told['NODE_OPTIONS']).toBeUndefined();
    const again = await manager.deploy(config);
    expect(again.state).toBe('unchanged');
  });

  it('deploys services in the order of their dependencies and tells them of each other', async () => {
    const started: string[] = [];
    manager.on('rollout:started', ({ service }) => started.push(service));
    const front = serviceConfig({ name: 'front', replicas: 1, environment: { BACK: `${urlOf('back')}/x` } });
    const back = serviceConfig({ name: 'back', replicas: 1 });
    await manager.deploy([{ ...front, dependsOn: { back: 'ready' } }, back]);
    expect(started).toEqual(['back', 'front']);
    const told = JSON.parse(await ask(await portOf('front'), '/env')) as Record<string, string>;
    expect(told['BACK']).toBe(`http://127.0.0.1:${await portOf('back')}/x`);
    expect((await manager.health()).status).toBe('healthy');
  });

  it('rolls back a release that crashes, within two seconds, with its last words', async () => {
    await manager.deploy(serviceConfig({ version: '1' }));
    const startedMs = performance.now();
    const error = await failureOf(manager.deploy(serviceConfig({ version: '2', environment: { CRASH: '1' } })));
    expect(error.code).toBe('MNOPS_ORCHESTRATION_ROLLED_BACK');
    expect(error.result.state).toBe('rolled-back');
    expect(error.result.reasons[0]).toMatchObject({ code: 'crash-loop:exited', exitCode: 3, restarts: 2 });
    expect(error.result.reasons[0]?.lastLogLines).toContain('cannot read its configuration');
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    expect((await ask(await portOf())).split(' ')[0]).toBe('1');
    expect((await manager.inspect('web'))?.failure?.reasons).toHaveLength(1);
  });

  it('says that a program was not found, and has nothing to go back to at first', async () => {
    const config = { ...serviceConfig(), containers: [{ command: ['/no/such/program'] }] };
    const error = await failureOf(manager.deploy(config));
    expect(error.code).toBe('MNOPS_ORCHESTRATION_NOT_READY');
    expect(error.result.reasons[0]).toMatchObject({ code: 'command-not-found' });
    expect((await manager.inspect('web'))?.revisions).toEqual([]);
  });

  it('says what an instance that never becomes ready answers', async () => {
    const config = serviceConfig({ replicas: 1 });
    const container = { ...config.containers[0]!, probes: { readiness: { http: { path: '/' }, failures: 1 } } };
    const error = await failureOf(
      manager.deploy(
        { ...config, containers: [{ ...container, environment: { FAIL_SHARE: '1' } }] },
        { readyTimeoutMs: 400 },
      ),
    );
    expect(error.result.reasons[0]).toMatchObject({ code: 'not-ready' });
    expect(error.result.reasons[0]?.message).toMatch(/answered 500/);
  });

  it('keeps a failed release for a look when it is asked to', async () => {
    await manager.deploy(serviceConfig({ version: '1' }));
    const bad = serviceConfig({ version: '2', environment: { CRASH: '1' } });
    await failureOf(manager.deploy(bad, { onFailure: 'keep' }));
    expect((await manager.inspect('web'))?.revisions).toHaveLength(2);
    await manager.deploy(serviceConfig({ version: '3' }));
    expect((await manager.inspect('web'))?.revisions).toHaveLength(1);
  });

  it('brings back all services of a deployment together', async () => {
    await manager.deploy([serviceConfig({ name: 'one' }), serviceConfig({ name: 'two' })]);
    const one = serviceConfig({ name: 'one', version: '2' });
    const two = {
      ...serviceConfig({ name: 'two', version: '2', environment: { CRASH: '1' } }),
      dependsOn: { one: 'ready' as const },
    };
    await failureOf(manager.deploy([one, two], { together: true }));
    expect((await manager.inspect('one'))?.version).toBe('1');
    expect((await manager.inspect('two'))?.version).toBe('1');
  });

  it('is replaced by a newer deployment', async () => {
    await manager.deploy(serviceConfig({ version: '1' }));
    const slow = manager.deploy(serviceConfig({ version: '2', environment: { START_MS: '5000' } }));
    const failed = failureOf(slow);
    await eventually(async () => (await manager.inspect('web'))?.rollout !== undefined);
    const refused = await failureOf(manager.deploy(serviceConfig({ version: '3' }), { onBusy: 'refuse' }));
    expect(refused.code).toBe('MNOPS_ORCHESTRATION_BUSY');
    await manager.deploy(serviceConfig({ version: '3' }));
    expect((await failed).code).toBe('MNOPS_ORCHESTRATION_ABORTED');
    expect((await manager.inspect('web'))?.version).toBe('3');
    expect((await manager.inspect('web'))?.revisions).toHaveLength(1);
  });

  it('refuses a port that is in use, by name', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as AddressInfo;
    const error = await failureOf(manager.deploy({ ...serviceConfig(), ports: [{ name: 'http', port }] }));
    other.close();
    expect(error).toMatchObject({
      code: 'MNOPS_ORCHESTRATION_PORT_UNAVAILABLE',
      details: { port, reason: 'EADDRINUSE' },
    });
    expect(error.remedy).toBeDefined();
  });
});

describe('canary', () => {
  const fast = { weights: [50], everyMs: 600, intervalMs: 150, minRequests: 5, maxErrorShareOverStable: 0.05 };

  it('goes back at once when the new version fails, and the proxy drops nothing', async () => {
    await manager.deploy(serviceConfig({ version: '1' }));
    const load = startLoad({ port: await portOf(), clients: 6, kind: 'keep-alive' });
    const bad = serviceConfig({ version: '2', environment: { FAIL_SHARE: '0.5' } });
    const error = await failureOf(manager.deploy(bad, { strategy: canary(fast) }));
    const { failures } = await load.stop();
    expect(error.code).toBe('MNOPS_ORCHESTRATION_ROLLED_BACK');
    expect(error.result.reasons[0]?.code).toBe('analysis-failed');
    expect(error.message).toMatch(/error-share is 0\.\d+, of stable 0/);
    expect(failures.every((failure) => failure.startsWith('500 2 '))).toBe(true);
    expect((await manager.inspect('web'))?.requests.failed).toBe(0);
    expect((await manager.inspect('web'))?.revisions).toHaveLength(1);
  });

  it('is judged without a word about limits, and promoted unjudged only on request', async () => {
    await manager.deploy(serviceConfig({ version: '1' }));
    const load = startLoad({ port: await portOf(), clients: 6, kind: 'keep-alive' });
    const bad = serviceConfig({ version: '2', environment: { FAIL_SHARE: '1' } });
    const options = { weights: [50], everyMs: 600 };
    const error = await failureOf(manager.deploy(bad, { strategy: canary(options) }));
    expect(error.code).toBe('MNOPS_ORCHESTRATION_ROLLED_BACK');
    const steps = [{ setWeight: 50 }, { pause: { durationMs: 600 } }];
    const plain = await failureOf(manager.deploy(bad, { strategy: { type: 'canary', steps } }));
    expect(plain.code).toBe('MNOPS_ORCHESTRATION_ROLLED_BACK');
    const unjudged = await manager.deploy(bad, { strategy: canary({ ...options, analysis: 'none' }) });
    await load.stop();
    expect(unjudged.state).toBe('succeeded');
  });

  it('goes back when the new version is slower than stable by more than the limit', async () => {
    await manager.deploy(serviceConfig({ version: '1' }));
    const load = startLoad({ port: await portOf(), clients: 6, kind: 'keep-alive' });
    const slow = serviceConfig({ version: '2', environment: { DELAY_MS: '150' } });
    const strategy = canary({
      weights: [50],
      everyMs: 1_000,
      minRequests: 5,
      maxP99RatioToStable: 2,
      p99ToleranceMs: 50,
    });
    const error = await failureOf(manager.deploy(slow, { strategy }));
    await load.stop();
    expect(error.message).toMatch(/latency-p99/);
  });

  it('never takes silence for success: it waits for a person, who promotes it', async () => {
    await manager.deploy(serviceConfig({ version: '1' }));
    const paused = await manager.deploy(serviceConfig({ version: '2' }), {
      strategy: canary({ ...fast, everyMs: 100, intervalMs: 50, waitForDataMs: 200 }),
    });
    expect(paused.state).toBe('paused');
    const status = await manager.inspect('web');
    expect(status?.rollout?.paused).toMatch(/no data/);
    expect(status?.route?.shares).toMatchObject({ by: 'weight' });
    const promoted = await manager.promote('web');
    expect(promoted.state).toBe('succeeded');
    expect((await manager.inspect('web'))?.version).toBe('2');
  });

  it('waits for enough to judge by, and then goes on by itself', async () => {
    await manager.deploy(serviceConfig({ version: '1' }));
    const port = await portOf();
    const deploying = manager.deploy(serviceConfig({ version: '2' }), {
      strategy: canary({ ...fast, everyMs: 50, intervalMs: 50, waitForDataMs: 600_000 }),
    });
    // The step has long ended, and nobody has asked anything yet.
    await eventually(async () => (await manager.inspect('web'))?.route?.shares.by === 'weight');
    await new Promise((resolve) => setTimeout(resolve, 300));
    const load = startLoad({ port, clients: 8, kind: 'keep-alive' });
    expect((await deploying).state).toBe('succeeded');
    expect((await load.stop()).failures).toEqual([]);
  });

  it('waits at a step without an end, and goes back when it is aborted', async () => {
    await manager.deploy(serviceConfig({ version: '1' }));
    const strategy = {
      type: 'canary',
      steps: [{ setWeight: 10 }, { pause: {} }, { setWeight: 60 }, { pause: {} }],
    } as const;
    expect((await manager.deploy(serviceConfig({ version: '2' }), { strategy })).state).toBe('paused');
    expect((await manager.promote('web')).state).toBe('paused');
    const shares = (await manager.inspect('web'))?.route?.shares;
    expect(shares?.by === 'weight' && Object.values(shares.weights).sort()).toEqual([40, 60]);
    const aborted = await manager.abort('web');
    expect(aborted.state).toBe('aborted');
    expect((await manager.inspect('web'))?.version).toBe('1');
    expect((await manager.inspect('web'))?.revisions).toHaveLength(1);
  });

  it('is stopped and resumed by pause and resume', async () => {
    await manager.deploy(serviceConfig({ version: '1' }));
    const steps = [{ setWeight: 10 }, { pause: { durationMs: 400 } }, { setWeight: 50 }];
    const strategy = { type: 'canary', steps, analysis: 'none' } as const;
    const deploying = manager.deploy(serviceConfig({ version: '2' }), { strategy });
    await eventually(async () => (await manager.inspect('web'))?.route?.shares.by === 'weight');
    await manager.pause('web');
    expect((await deploying).state).toBe('paused');
    expect((await manager.resume('web')).state).toBe('succeeded');
  });
});

describe('the life of a service', () => {
  it('is scaled down to nothing and up again on the same port, while requests wait', async () => {
    await manager.deploy(serviceConfig({ replicas: 2 }));
    const port = await portOf();
    await manager.scale('web', 0, { hold: true });
    expect((await manager.inspect('web'))?.revisions).toEqual([]);
    const waiting = ask(port);
    await eventually(async () => (await manager.inspect('web'))?.requests.holding === 1);
    await manager.scale('web', 3);
    expect(await waiting).toMatch(/^1 web-/);
    expect((await manager.inspect('web'))?.ready).toBe(3);
    expect(await portOf()).toBe(port);
  });

  it('is restarted with new processes of the same description', async () => {
    await manager.deploy(serviceConfig());
    const before = (await ask(await portOf())).split(' ')[2];
    const result = await manager.restart('web');
    expect(result.services[0]?.toRevision).toBe(`${result.services[0]?.fromRevision}-r1`);
    expect((await ask(await portOf())).split(' ')[2]).not.toBe(before);
    expect((await manager.deploy(serviceConfig())).state).toBe('unchanged');
  });

  it('is rolled back to the revision before, and to a named one', async () => {
    for (const version of ['1', '2', '3']) await manager.deploy(serviceConfig({ version, replicas: 1 }));
    await manager.rollback('web');
    expect((await manager.inspect('web'))?.version).toBe('2');
    await manager.rollback('web', { toRevision: revisionOf(serviceConfig({ version: '1' })) });
    expect((await manager.inspect('web'))?.version).toBe('1');
    const known: (string | undefined)[] = [];
    for await (const { version, stable } of manager.revisions('web')) known.push(`${version} ${stable}`);
    expect(known).toEqual(['3 false', '2 false', '1 true']);
  });

  it('is restarted after a crash, and what happened is told', async () => {
    await manager.deploy(serviceConfig({ replicas: 1 }));
    const crashed = new Promise<number>((resolve) =>
      manager.on('instance:crashed', ({ restarts }) => resolve(restarts)),
    );
    await ask(await portOf(), '/crash').catch(() => undefined);
    await crashed;
    await eventually(async () => (await manager.inspect('web'))?.ready === 1);
    const [instance] = (await manager.inspect('web'))!.revisions[0]!.instances;
    expect(instance?.restarts).toBe(1);
  });

  it('tells its story to whoever watches', async () => {
    const ended = new AbortController();
    const messages: string[] = [];
    const watching = (async () => {
      for await (const { message } of manager.watch('web', { signal: ended.signal })) messages.push(message);
    })();
    await manager.deploy(serviceConfig());
    await manager.remove('web');
    await eventually(() => messages.includes('The service was removed.'));
    ended.abort();
    await watching;
    expect(messages[0]).toMatch(/^deploy of [0-9a-f]{10} began\.$/);
    expect(messages).toContain('The rollout ended: succeeded.');
  });

  it('is reported as unhealthy with reasons, and its request figures can be asked for', async () => {
    await manager.deploy(serviceConfig({ replicas: 1 }));
    for (let count = 0; count < 5; count += 1) await ask(await portOf());
    const { callOf } = await import('@mnops/core');
    const call = callOf({ timeoutMs: 1_000 });
    const selection = { metric: 'http_server_request_duration_seconds', reduce: 'count', windowMs: 60_000 } as const;
    const [sample] = await manager.metricSource.query({ ...selection, by: ['service', 'version'] }, call);
    call.end();
    expect(sample).toMatchObject({ labels: { service: 'web', version: '1' }, value: 5 });
    await manager.scale('web', 0);
    expect((await manager.serviceHealth('web').check(call)).status).toBe('healthy');
    expect((await manager.serviceHealth('other').check(call)).status).toBe('unknown');
    expect(await manager.stats()).toMatchObject({ services: 1, instances: 0, requests: { answered: 5, failed: 0 } });
  });
});

describe('bad input', () => {
  it('names unknown fields with the nearest one, before anything is done', () => {
    const config = { ...serviceConfig(), replica: 2 };
    expect(manager.check(config)).toMatchObject([{ field: 'replica', remedy: expect.stringContaining('replicas') }]);
    expect(manager.check({ ...serviceConfig(), name: 'Not A Name' })[0]?.field).toBe('name');
    expect(() => new ContainerOrchestrationManager({ metrics: {} } as never)).toThrow(/metricSources/);
    expect(() => local({ foldr: '/tmp' } as never)).toThrow(/folder/);
  });

  it('names unknown options of a deployment and of its strategy with the nearest one', async () => {
    const cases: readonly (readonly [object, string, RegExp])[] = [
      [{ readyTimeoutMS: 1 }, 'readyTimeoutMS', /readyTimeoutMs/],
      [{ strategy: { type: 'rolling', maxSurg: 1 } }, 'strategy.maxSurg', /maxSurge/],
      [{ strategy: { type: 'rolling', maxSurge: 0 } }, 'strategy', /above 0/],
      [{ strategy: { type: 'canary', steps: [{ setWeight: 5 }], analyse: 'none' } }, 'strategy.analyse', /analysis/],
      [
        {
          strategy: {
            type: 'canary',
            steps: [{ setWeight: 5 }],
            analysis: { metrics: [{ ...errorShare({ max: 1 }), dryRun: true }] },
          },
        },
        'strategy.analysis.metrics',
        /no dry run/,
      ],
    ];
    for (const [deployment, field, remedy] of cases) {
      const error = await failureOf(manager.deploy(serviceConfig(), deployment as never));
      expect(error.details?.['issues']).toMatchObject([{ field, remedy: expect.stringMatching(remedy) }]);
    }
    expect(await manager.inspect('web')).toBeUndefined();
  });

  it('names unknown options of every call with the nearest one, before anything is done', async () => {
    await manager.deploy(serviceConfig({ replicas: 1 }));
    const first = async (values: AsyncIterable<unknown>): Promise<unknown> => {
      for await (const value of values) return value;
      return undefined;
    };
    const typo = { timeoutMS: 1 } as never;
    const calls: Readonly<Record<string, () => Promise<unknown>>> = {
      start: () => manager.start(typo),
      plan: () => manager.plan(serviceConfig({ version: '2' }), {}, typo),
      deploy: () => manager.deploy(serviceConfig({ version: '2' }), {}, typo),
      scale: () => manager.scale('web', 0, typo),
      restart: () => manager.restart('web', typo),
      rollback: () => manager.rollback('web', typo),
      promote: () => manager.promote('web', typo),
      pause: () => manager.pause('web', typo),
      resume: () => manager.resume('web', typo),
      abort: () => manager.abort('web', typo),
      remove: () => manager.remove('web', typo),
      settled: () => manager.settled('web', typo),
      inspect: () => manager.inspect('web', typo),
      list: () => first(manager.list(typo)),
      revisions: () => first(manager.revisions('web', typo)),
      watch: async () => await first(manager.watch('web', typo)),
      health: () => manager.health(typo),
    };
    for (const [name, call] of Object.entries(calls)) {
      const { code, message, details } = await failureOf(call());
      expect([name, code, details?.['issues']]).toMatchObject([
        name,
        'MNOPS_CORE_CONFIG_INVALID',
        [{ field: 'timeoutMS', remedy: expect.stringContaining('timeoutMs') }],
      ]);
      expect(message).toContain(`${name}()`);
    }
    const others: readonly (readonly [Promise<unknown>, string, RegExp])[] = [
      [manager.scale('web', 0, { holds: true } as never), 'holds', /hold/],
      [manager.rollback('web', { revision: 'x' } as never), 'revision', /toRevision/],
      [manager.promote('web', { ful: true } as never), 'ful', /full/],
      [manager.stop({ grace: 1 } as never), 'grace', /graceMs/],
      [manager.stop({ graceMs: Number.NaN }), 'graceMs', /graceMs/],
      [manager.inspect('web', { timeoutMs: Number.NaN }), 'timeoutMs', /timeoutMs/],
    ];
    for (const [call, field, remedy] of others) {
      const { details } = await failureOf(call);
      expect(details?.['issues']).toMatchObject([{ field, remedy: expect.stringMatching(remedy) }]);
    }
    expect(await manager.inspect('web')).toMatchObject({ version: '1', ready: 1 });
  });

  it('finds what contradicts itself', async () => {
    const tcp = { command: ['node', serviceFile], probes: { readiness: { tcp: true } } } as const;
    expect(manager.check({ name: 'worker', containers: [tcp] })[0]?.field).toBe('containers.0.probes.readiness');
    const both = { readiness: { tcp: true, logLine: 'up' } } as never;
    expect(manager.check({ ...serviceConfig(), containers: [{ command: ['x'], probes: both }] })).toHaveLength(1);
    const asks = { command: ['x'], environment: { OTHER: urlOf('nobody'), PORT: '1' } };
    expect(manager.check({ ...serviceConfig(), containers: [asks] }).map(({ field }) => field)).toEqual([
      'containers.0.environment.PORT',
    ]);
    const circle = [
      { ...serviceConfig({ name: 'a' }), dependsOn: { b: 'ready' as const } },
      { ...serviceConfig({ name: 'b' }), dependsOn: { a: 'ready' as const } },
    ];
    await expect(failureOf(manager.plan(circle))).resolves.toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID' });
  });

  it('says what a deployment would do', async () => {
    expect(await manager.plan(serviceConfig())).toMatchObject({ empty: false, services: [{ action: 'create' }] });
    await manager.deploy(serviceConfig());
    expect(await manager.plan(serviceConfig())).toMatchObject({ empty: true, services: [{ action: 'none' }] });
    const resolve = async () => ({ version: '1', reveal: () => 'unused' });
    const secrets = {
      specVersion: 1,
      kind: 'secret-resolver',
      id: 'fixed',
      resolve,
      subscribe: () => () => undefined,
    } as const;
    await using other = new ContainerOrchestrationManager({ provider: local(), secrets });
    await other.start();
    await other.deploy(serviceConfig());
    const secret = serviceConfig({ environment: { PASSWORD: 'secret://db#password' } });
    const plan = await other.plan(secret, { strategy: canary({ weights: [10], everyMs: 1 }) });
    expect(plan.services[0]?.changes).toEqual([
      { field: 'containers.0.environment.PASSWORD', from: undefined, to: 'a secret' },
    ]);
    expect(plan.services[0]?.steps[0]).toBe('send 10 % to the new revision');
  });

  it('says that a secret needs a resolver, without its value', async () => {
    const config = serviceConfig({ replicas: 1, environment: { PASSWORD: 'secret://db#password' } });
    const field = 'containers.0.environment.PASSWORD';
    const issue = { field, received: 'none', remedy: expect.stringContaining('Pass `secrets`') };
    expect(manager.check(config)).toMatchObject([issue]);
    const error = await failureOf(manager.deploy(config));
    expect(error).toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID', details: { issues: [issue] } });
    expect(error.message).toMatch(/PASSWORD.*resolver/);
    expect(await manager.inspect('web')).toBeUndefined();
  });

  it('refuses every call before the start and after the end', async () => {
    const idle = new ContainerOrchestrationManager();
    expect((await failureOf(idle.deploy(serviceConfig()))).code).toBe('MNOPS_ORCHESTRATION_STATE_INVALID');
    await idle.stop();
    expect((await failureOf(idle.deploy(serviceConfig()))).code).toBe('MNOPS_CORE_CLOSED');
    expect((await failureOf(manager.promote('nobody'))).code).toBe('MNOPS_CORE_NOT_FOUND');
  });
});
