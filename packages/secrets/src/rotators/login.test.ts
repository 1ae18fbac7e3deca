import type { RotationContext } from '@mnops/core/spi';
import { testCall } from '@mnops/core/testing';
import { expect, it } from 'vitest';
import { toSecretValue } from '../secret-value.js';
import { nextLogin } from './login.js';

function contextOf(text: string, strategy: RotationContext['strategy']): RotationContext {
  const current = toSecretValue('db/login', 'memory', { value: Buffer.from(text), version: '1', stages: ['current'] });
  return { path: 'db/login', token: 'token', strategy, current, call: testCall() };
}

it('keeps every other field of a login as it is written, also numbers with more digits than JavaScript keeps', () => {
  const rest = '"project":12345678901234567890,"ratio":1.0,"__proto__":{"a":[1e400]},"note":"a\\u0062"';
  const login = (user: string, password: string): string => `{"username":"${user}","password":"${password}",${rest}}`;
  expect(nextLogin(contextOf(login('app', 'old'), 'single-user'), 'new', 63)).toBe(login('app', 'new'));
  expect(nextLogin(contextOf(login('app', 'old'), 'dual-user'), 'n"w', 63)).toBe(login('app_clone', 'n\\"w'));
  expect(nextLogin(contextOf(login('app_clone', 'old'), 'dual-user'), 'new', 63)).toBe(login('app', 'new'));
});
