import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { coreError } from '../errors/core-error.js';
import type { RotationContext, Rotator } from '../spi/secrets.js';
import { failingCases } from './failing-cases.js';
import { type RotatorSubject, rotatorContract } from './rotator-contract.js';

/** A login server: passwords by user. */
type Target = Map<string, Set<string>>;
interface Login {
  readonly user: string;
  readonly password: string;
}

function rotatorOf(target: Target, isUp: () => boolean = () => true): Rotator {
  const loginOf = (value: RotationContext['current'] | undefined): Login =>
    value?.json<Login>() ?? { user: '', password: '' };
  const passwordsOf = ({ user }: Login): Set<string> => {
    if (!isUp()) throw coreError('MNOPS_CORE_UNAVAILABLE', 'The server is gone.');
    return target.get(user) ?? new Set();
  };
  return {
    specVersion: 1,
    kind: 'rotator',
    id: 'map',
    capabilities: { strategies: ['single-user', 'dual-user'], overlap: true },
    admin: 'contract/admin',
    async generate({ strategy, current }) {
      const { user } = loginOf(current);
      const other = user === 'a' ? 'b' : 'a';
      return JSON.stringify({
        user: strategy === 'dual-user' ? other : user,
        password: randomBytes(9).toString('base64url'),
      });
    },
    async apply({ current, pending }) {
      const [old, next] = [loginOf(current), loginOf(pending)];
      const kept = old.user === next.user ? passwordsOf(old) : [];
      passwordsOf(next);
      target.set(next.user, new Set([...kept, next.password]));
    },
    async verify({ pending }) {
      if (!passwordsOf(loginOf(pending)).has(loginOf(pending).password)) throw new Error('refused');
    },
    async revoke({ current }) {
      passwordsOf(loginOf(current)).delete(loginOf(current).password);
    },
    async discard({ pending }) {
      passwordsOf(loginOf(pending)).delete(loginOf(pending).password);
    },
  };
}

async function subject(
  change: (rotator: Rotator, target: Target) => Partial<Rotator> = () => ({}),
): Promise<RotatorSubject> {
  const target: Target = new Map([['a', new Set(['first'])]]);
  let up = true;
  const rotator = rotatorOf(target, () => up);
  return {
    provider: { ...rotator, ...change(rotator, target) },
    current: Buffer.from('{"user":"a","password":"first"}'),
    admin: Buffer.from('{"user":"root","password":"all of it"}'),
    async accepts(value) {
      const { user, password } = JSON.parse(Buffer.from(value).toString()) as Login;
      return target.get(user)?.has(password) === true;
    },
    async breakTarget() {
      up = false;
    },
  };
}

rotatorContract({ describe, it }, 'users of a map', () => subject());

rotatorContract({ describe, it }, 'a value that only readers check', async () => ({
  provider: {
    ...rotatorOf(new Map()),
    capabilities: { strategies: ['single-user'], overlap: true },
    generate: async () => randomBytes(9).toString('base64url'),
    apply: async () => undefined,
    verify: async () => undefined,
    revoke: async () => undefined,
    discard: async () => undefined,
  },
  current: Buffer.from('first'),
}));

describe('rotatorContract', () => {
  const both = (title: string): string[] => [`single-user: ${title}`, `dual-user: ${title}`];
  const fixed = '{"user":"a","password":"second"}';
  const full = 'applies, verifies and revokes, each also twice, and again from the new value on';

  it.each<[string, (rotator: Rotator, target: Target) => Partial<Rotator>, readonly string[]]>([
    ['nothing', () => ({}), []],
    [
      'no strategy',
      () => ({ capabilities: { strategies: [], overlap: true } }),
      ['says which strategies it can follow'],
    ],
    [
      'always one value',
      () => ({ generate: async () => fixed }),
      expect.arrayContaining(both('generates another value each time, and changes nothing by it')),
    ],
    [
      'verify that looks at nothing',
      () => ({ verify: async () => undefined }),
      both('does not verify what was not applied'),
    ],
    ['revoke that does nothing', () => ({ revoke: async () => undefined }), both(full)],
    ['discard that does nothing', () => ({ discard: async () => undefined }), both('discards what was applied')],
    [
      'the user in use changed under dual-user',
      (rotator) => ({
        apply: async (context) => {
          await rotator.apply(context);
          if (context.strategy === 'dual-user') await rotator.discard?.({ ...context, pending: context.current });
        },
      }),
      [`dual-user: ${full}`, 'dual-user: discards what was applied'],
    ],
    [
      'an error that shows the admin',
      ({ apply }) => ({
        apply: async (context) => {
          await apply(context).catch(() => {
            throw coreError('MNOPS_CORE_UNAVAILABLE', `gone: ${context.admin?.field('password')}`);
          });
        },
      }),
      both('fails without showing a value when the target is gone'),
    ],
  ])('names the broken rule: %s', async (_, change, cases) => {
    expect(await failingCases((runner) => rotatorContract(runner, 'broken', () => subject(change)))).toEqual(cases);
  });
});
