import { tryCredential } from '../credential-rotator.js';
import type { Observer } from '../observer.js';
import { credentialPath, type Shop } from '../shop.js';
import type { StepContext } from '../step.js';
import { pause, until } from '../wait.js';

/** Rotates the credential between catalog and orders while requests go through. */
export async function rotate(shop: Shop, observer: Observer, { expect, say }: StepContext): Promise<void> {
  const orders = await shop.url('orders');
  const before = await shop.secrets.getOrThrow(credentialPath);
  const fromMs = Date.now();
  observer.mark('change', 'credential rotation begins');
  const result = await shop.secrets.rotation.rotate(credentialPath, { timeoutMs: 30_000 });
  const after = await shop.secrets.getOrThrow(credentialPath, { maxAgeMs: 0 });
  say(`promoted version ${after.version}; the old one is accepted for two more seconds`);
  expect('a new value is current', !after.equals(before.bytes()), `version ${before.version} → ${after.version}`);
  expect(
    'orders accepts it',
    (await tryCredential(orders, after.reveal())) === 200,
    `${Date.now() - fromMs} ms after the start`,
  );
  const refused = await until(async () => (await tryCredential(orders, before.reveal())) === 401, 10_000, 200);
  expect('the old value is refused after its grace time', refused, `${Date.now() - fromMs} ms after the start`);
  await pause(500);
  const untilMs = Date.now();
  await shop.load.reportedUntil(untilMs);
  const { sent, serverErrors, dropped } = shop.load.summary(fromMs, untilMs);
  expect('no request failed meanwhile', serverErrors + dropped === 0, `${serverErrors + dropped} of ${sent}`);
  const idle = async (): Promise<boolean> => (await shop.secrets.rotation.state(credentialPath)).state === 'idle';
  const ended = await until(idle, 10_000, 100);
  const steps = `${before.version} → ${result.version ?? '?'}, the old one revoked`;
  expect('the rotation is complete', ended && result.previousVersion === before.version, steps);
  observer.mark('good', 'credential rotated');
}
