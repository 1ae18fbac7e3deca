import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { JsonValue } from '../spi/base.js';
import type { LogBatch, LogSource } from '../spi/log.js';
import { type ContractRunner, type ContractSubject, casesOf, identityCases } from './contract.js';
import { type TestCall, testCall } from './test-call.js';

/** A log source under test. */
export interface LogSourceSubject extends ContractSubject<LogSource> {
  /** Writes lines where the source reads; all into one stream, in order. */
  write(lines: readonly string[]): void | Promise<void>;
}

/** What a source cannot do better. */
export interface LogSourceLimits {
  /** Milliseconds that a line may take to come out, and that an abort may take. Default 10_000. */
  readonly patienceMs?: number | undefined;
}

/** Holds a `LogSource` to its interface: every line once and in order, resumed from a checkpoint, ended by an abort. */
export function logSourceContract(
  runner: ContractRunner,
  name: string,
  create: () => Promise<LogSourceSubject>,
  limits: LogSourceLimits = {},
): void {
  const { patienceMs = 10_000 } = limits;
  const startReading = (provider: LogSource, checkpoint?: JsonValue): Reading =>
    begin(provider, checkpoint, patienceMs);
  runner.describe(`log source contract: ${name}`, () => {
    const test = casesOf(runner, create);
    identityCases<LogSource>(test, 'log-source');

    test('declares its scope and how exactly it resumes', async ({ provider: { capabilities } }) => {
      const scopes = ['container', 'pod', 'node', 'application', 'service', 'system'];
      assert.ok(scopes.includes(capabilities.scope), capabilities.scope);
      assert.ok(['exact', 'second', 'none'].includes(capabilities.resume), capabilities.resume);
    });

    test('yields what was written before, and what is written meanwhile, in order', async (subject) => {
      await subject.write(['first', 'second']);
      const reading = startReading(subject.provider);
      await reading.until((lines) => lines.length >= 2);
      await subject.write(['third', '']);
      await subject.write(['fünf ☂', 'sixth']);
      await reading.until((lines) => lines.includes('sixth'));
      await reading.stop();
      assert.deepEqual(reading.lines(), ['first', 'second', 'third', '', 'fünf ☂', 'sixth']);
    });

    test('names streams and yields frames without their terminator', async (subject) => {
      await subject.write(['one', 'two']);
      const reading = startReading(subject.provider);
      await reading.until((lines) => lines.length >= 2);
      await reading.stop();
      for (const batch of reading.batches) {
        assert.ok(batch.stream.length > 0, 'the stream has a name');
        assert.ok(batch.frames.length > 0, 'a batch holds frames');
        for (const frame of batch.frames) {
          assert.ok(!/[\r\n]$/.test(textOf(frame.bytes)), 'no line end in a frame');
          assert.ok(frame.timeMs === undefined || Number.isFinite(frame.timeMs), 'timeMs is a time');
        }
        if (batch.identity !== undefined) assert.ok(batch.identity.name.length > 0, 'the identity has a name');
      }
    });

    test('resumes from a checkpoint as exactly as it declares', async (subject) => {
      const { resume } = subject.provider.capabilities;
      await subject.write(['a1', 'a2', 'a3']);
      const before = startReading(subject.provider);
      await before.until((lines) => lines.length >= 3);
      await before.stop();
      const checkpoint = before.batches.at(-1)?.checkpoint;
      if (resume === 'none') return;
      assert.notEqual(checkpoint, undefined, 'a batch of a source that resumes carries a checkpoint');
      const kept = JSON.parse(JSON.stringify(checkpoint)) as JsonValue;
      await subject.write(['b1', 'b2']);
      const after = startReading(subject.provider, kept);
      await after.until((lines) => lines.includes('b2'));
      await after.stop();
      if (resume === 'exact') assert.deepEqual(after.lines(), ['b1', 'b2']);
      else assert.deepEqual(after.lines().slice(-2), ['b1', 'b2']);
    });

    test('ends when the call is aborted, while nothing comes', async (subject) => {
      const reading = startReading(subject.provider);
      await delay(20);
      await reading.stop();
    });

    test('yields nothing to a call that is aborted already', async (subject) => {
      await subject.write(['x']);
      const call = testCall();
      call.abort(new Error('aborted before'));
      const batches: LogBatch[] = [];
      try {
        for await (const batch of subject.provider.read({}, call)) batches.push(batch);
      } catch (error) {
        assert.equal((error as Error).message, 'aborted before');
      }
      assert.equal(batches.length, 0);
    });

    test('serves two readers apart', async (subject) => {
      await subject.write(['p', 'q']);
      const readings = [startReading(subject.provider), startReading(subject.provider)];
      for (const reading of readings) await reading.until((lines) => lines.length >= 2);
      for (const reading of readings) {
        await reading.stop();
        assert.deepEqual(reading.lines(), ['p', 'q']);
      }
    });
  });
}

interface Reading {
  readonly batches: readonly LogBatch[];
  lines(): string[];
  until(holds: (lines: string[]) => boolean): Promise<void>;
  stop(): Promise<void>;
}

function begin(provider: LogSource, checkpoint: JsonValue | undefined, patienceMs: number): Reading {
  const batches: LogBatch[] = [];
  const call: TestCall = testCall();
  const reason = new Error('reading ends');
  let failed: unknown;
  const running = (async () => {
    try {
      for await (const batch of provider.read(checkpoint === undefined ? {} : { checkpoint }, call))
        batches.push(batch);
      if (!call.signal.aborted) failed = new Error('the source ended by itself');
    } catch (error) {
      if (error !== reason) failed = error;
    }
  })();
  const lines = (): string[] => joined(batches);
  return {
    batches,
    lines,
    until: async (holds) => {
      const endsAt = performance.now() + patienceMs;
      while (!holds(lines())) {
        if (failed !== undefined) throw failed;
        assert.ok(performance.now() < endsAt, `only these lines came: ${JSON.stringify(lines())}`);
        await delay(5);
      }
    },
    stop: async () => {
      call.abort(reason);
      const ended = await Promise.race([
        running.then(() => 'ended'),
        delay(patienceMs, 'still reading', { ref: false }),
      ]);
      assert.equal(ended, 'ended', 'an abort ends the source');
      if (failed !== undefined) throw failed;
    },
  };
}

/** Lines of all batches, with those put together again that came in parts. */
function joined(batches: readonly LogBatch[]): string[] {
  const lines: string[] = [];
  let open = '';
  for (const { frames } of batches) {
    for (const frame of frames) {
      open += textOf(frame.bytes);
      if (frame.partial === true) continue;
      lines.push(open);
      open = '';
    }
  }
  return lines;
}

function textOf(bytes: Uint8Array | string): string {
  return typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('utf8');
}
