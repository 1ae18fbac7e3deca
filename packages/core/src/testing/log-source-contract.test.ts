import { describe, expect, it } from 'vitest';
import type { Call } from '../spi/base.js';
import type { LogBatch, LogFrame, LogSource } from '../spi/log.js';
import { failingCases } from './failing-cases.js';
import { type LogSourceSubject, logSourceContract } from './log-source-contract.js';

type Read = (from: { readonly checkpoint?: unknown }, call: Call) => AsyncIterable<LogBatch>;

/** Lines in memory, read by polling; a test breaks one rule by `wrap`. */
async function subject(
  wrap: (read: Read, lines: string[]) => Read = (read) => read,
  resume: LogSource['capabilities']['resume'] = 'exact',
): Promise<LogSourceSubject> {
  const lines: string[] = [];
  const read: Read = async function* (from, call) {
    let next = typeof from.checkpoint === 'number' ? from.checkpoint : 0;
    while (!call.signal.aborted) {
      if (next < lines.length) {
        const frames: LogFrame[] = lines.slice(next).map((bytes) => ({ bytes, timeMs: 1 }));
        next += frames.length;
        yield { stream: 'memory', frames, checkpoint: next, identity: { name: 'test' } };
      } else {
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
  };
  const provider: LogSource = {
    specVersion: 1,
    kind: 'log-source',
    id: 'reference',
    capabilities: { scope: 'application', resume },
    read: wrap(read, lines),
  };
  return { provider, write: (more) => void lines.push(...more) };
}

/** Changes every batch on its way. */
function mapped(change: (batch: LogBatch, index: number) => LogBatch | undefined): (read: Read) => Read {
  return (read) =>
    async function* (from, call) {
      let index = 0;
      for await (const batch of read(from, call)) {
        const changed = change(batch, index);
        index += 1;
        if (changed !== undefined) yield changed;
      }
    };
}
const frames = (change: (frames: readonly LogFrame[]) => readonly LogFrame[]) =>
  mapped((batch) => ({ ...batch, frames: change(batch.frames) }));

logSourceContract({ describe, it }, 'lines in memory', () => subject());
logSourceContract({ describe, it }, 'lines that come in parts, as bytes', () =>
  subject(
    frames((all) =>
      all.flatMap(({ bytes }) => {
        const text = [...bytes.toString()];
        const half = Math.floor(text.length / 2);
        const cut = [text.slice(0, half).join(''), text.slice(half).join('')];
        return [{ bytes: Buffer.from(cut[0] ?? ''), partial: true }, { bytes: Buffer.from(cut[1] ?? '') }];
      }),
    ),
  ),
);
logSourceContract({ describe, it }, 'a source that resumes to the second', () =>
  subject(
    (read) => (from, call) =>
      read({ checkpoint: typeof from.checkpoint === 'number' ? Math.max(0, from.checkpoint - 1) : 0 }, call),
    'second',
  ),
);
logSourceContract({ describe, it }, 'a source that does not resume', () =>
  subject(
    mapped(({ checkpoint: _, ...batch }) => batch),
    'none',
  ),
);

describe('logSourceContract catches a source that', () => {
  const declares = 'declares its scope and how exactly it resumes';
  const order = 'yields what was written before, and what is written meanwhile, in order';
  const named = 'names streams and yields frames without their terminator';
  const resumes = 'resumes from a checkpoint as exactly as it declares';
  const ends = 'ends when the call is aborted, while nothing comes';
  const before = 'yields nothing to a call that is aborted already';
  const apart = 'serves two readers apart';
  const cases: [string, (read: Read, lines: string[]) => Read, string[]][] = [
    ['turns lines around', frames((all) => [...all].reverse()), [order, resumes, apart]],
    [
      'leaves the line end on',
      frames((all) => all.map(({ bytes }) => ({ bytes: `${bytes}\n` }))),
      [order, named, resumes, apart],
    ],
    ['drops empty lines', frames((all) => all.filter(({ bytes }) => bytes.length > 0)), [order]],
    ['has no name for its stream', mapped((batch) => ({ ...batch, stream: '' })), [named]],
    ['ignores the checkpoint', (read) => (_, call) => read({}, call), [resumes]],
    [
      'loses a line when it resumes',
      (read) => (from, call) =>
        read({ checkpoint: typeof from.checkpoint === 'number' ? from.checkpoint + 1 : 0 }, call),
      [resumes],
    ],
    ['gives no checkpoint', mapped(({ checkpoint: _, ...batch }) => batch), [resumes]],
    ['cannot tell a missing identity', mapped((batch) => ({ ...batch, identity: { name: '' } })), [named]],
    [
      'yields to an aborted call',
      (read, lines) =>
        async function* (from, call) {
          yield {
            stream: 'memory',
            frames: lines
              .slice(0, 0)
              .concat('x')
              .map((bytes) => ({ bytes })),
            checkpoint: 0,
          };
          yield* read(from, call);
        },
      [order, resumes, before, apart],
    ],
    [
      'shares one position among its readers',
      (read) => {
        const taken = new Set<unknown>();
        return mapped((batch) => {
          if (taken.has(batch.checkpoint)) return undefined;
          taken.add(batch.checkpoint);
          return batch;
        })(read);
      },
      [apart],
    ],
    [
      'wakes up late',
      (read) =>
        async function* (from, call) {
          yield* read(from, call);
          await new Promise((resolve) => setTimeout(resolve, 700));
        },
      [order, named, resumes, ends, apart],
    ],
  ];
  it.concurrent.each(cases)('%s', async (_, wrap, expected) => {
    const failing = await failingCases((runner) =>
      logSourceContract(runner, 'broken', () => subject(wrap), { patienceMs: 500 }),
    );
    expect(failing).toEqual(expected);
  });

  it('declares no known scope', async () => {
    const failing = await failingCases((runner) =>
      logSourceContract(runner, 'broken', () => subject((read) => read, 'sometimes' as never)),
    );
    expect(failing).toEqual([declares, resumes].slice(0, failing.length));
    expect(failing).toContain(declares);
  });
});
