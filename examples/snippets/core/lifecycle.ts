import assert from 'node:assert/strict';

// #region lifecycle
import { eventHub, Lifecycle, processHooks } from '@mnops/core/lifecycle';

const events = eventHub<{ 'queue:drained': { items: number } }>({ 'queue:drained': true });
let items = 3;

const life = new Lifecycle({
  name: 'Mailer',
  start: async () => undefined, // connect
  drain: async () => {
    events.emit('queue:drained', { items });
    items = 0;
  },
  close: () => undefined, // release
});

const off = events.on('queue:drained', ({ items: drained }) => assert.equal(drained, 3));
await Promise.all([life.start(), life.start()]); // joined: one start
assert.equal(life.status, 'ready');
life.degrade('The mail server is slow.');
assert.equal(life.status, 'degraded');

// With SIGTERM or SIGINT every part of the process stops taking work, drains and flushes, in this order.
const remove = processHooks().register({ name: 'Mailer', drain: () => life.stop({ graceMs: 5_000 }) });
remove();

await life.stop();
off();
assert.deepEqual([life.status, items], ['stopped', 0]);
// #endregion
