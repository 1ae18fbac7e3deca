import { AsyncLocalStorage } from 'node:async_hooks';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileSink, LogAggregationManager, type RedactOptions } from '@mnops/logging';
import { createWinstonLogger } from '@mnops/logging/winston';
import { type BenchContext, type BenchSuite, defineBench } from '@mnops/tooling/bench';
import pino from 'pino';
import winston from 'winston';
import { inTurns, type ShapeName, shapes } from './shapes.js';

const count = 100_000;
const ids = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };
const redact: RedactOptions = { paths: ['user.name', 'request.headers.host'] };

type Measure = (shape: ShapeName) => Promise<number>;

/** CPU nanoseconds per call, the last write included. */
async function perCall(ctx: BenchContext, call: (index: number) => void, end: () => unknown): Promise<number> {
  const { cpuMs } = await ctx.cpuTime(async () => {
    await inTurns(count, call);
    await end();
  });
  return (cpuMs * 1e6) / count;
}

function measures(
  ctx: BenchContext,
  folder: string,
): Record<'ours' | 'oursFull' | 'oursWinston' | 'pino' | 'pinoFull' | 'winston', Measure> {
  const manager = async (options: { redact?: RedactOptions } = {}): Promise<LogAggregationManager> => {
    const path = join(folder, 'ours.log');
    const logs = new LogAggregationManager({ service: 'bench', sinks: [fileSink({ path })], store: false, ...options });
    await logs.start();
    return logs;
  };
  const viaPino = (options: pino.LoggerOptions) => {
    const destination = pino.destination({ dest: join(folder, 'pino.log'), sync: true, minLength: 4096 });
    return { logger: pino(options, destination), end: () => destination.flushSync() };
  };
  return {
    ours: async (shape) => {
      const logs = await manager();
      const logger = logs.logger('bench');
      const make = shapes[shape];
      return perCall(
        ctx,
        (index) => logger.info('request handled', make(index)),
        () => logs.stop(),
      );
    },
    oursFull: async (shape) => {
      const logs = await manager({ redact });
      const logger = logs.logger('bench');
      const make = shapes[shape];
      return logs.runWithContext({ ...ids, requestId: 'r-1' }, () =>
        perCall(
          ctx,
          (index) => logger.info('request handled', make(index)),
          () => logs.stop(),
        ),
      );
    },
    oursWinston: async (shape) => {
      const logs = await manager();
      const logger = createWinstonLogger(logs);
      const make = shapes[shape];
      return perCall(
        ctx,
        (index) => logger.info('request handled', make(index)),
        () => logs.stop(),
      );
    },
    pino: (shape) => {
      const { logger, end } = viaPino({});
      const make = shapes[shape];
      return perCall(ctx, (index) => logger.info(make(index), 'request handled'), end);
    },
    pinoFull: (shape) => {
      const storage = new AsyncLocalStorage<object>();
      const { logger, end } = viaPino({ redact: [...(redact.paths ?? [])], mixin: () => storage.getStore() ?? {} });
      const make = shapes[shape];
      return storage.run({ ...ids, requestId: 'r-1' }, () =>
        perCall(ctx, (index) => logger.info(make(index), 'request handled'), end),
      );
    },
    winston: (shape) => {
      const file = new winston.transports.File({ filename: join(folder, 'winston.log') });
      const { combine, timestamp, json } = winston.format;
      const logger = winston.createLogger({ format: combine(timestamp(), json()), transports: [file] });
      const make = shapes[shape];
      const end = () => new Promise((resolve) => file.on('finish', resolve) && logger.end());
      return perCall(ctx, (index) => logger.info('request handled', make(index)), end);
    },
  };
}

const suite: BenchSuite = defineBench({
  package: 'logging',
  suite: 'logger',
  async run(ctx) {
    const folder = await mkdtemp(join(tmpdir(), 'mnops-bench-'));
    const by = measures(ctx, folder);
    const goals = { flat: { pino: 1.5, winston: 4 }, nested: { pino: 1.2, winston: 2.5 } } as const;
    try {
      for (const shape of ['flat', 'nested'] as const) {
        const common = { unit: 'ns CPU/call', kind: 'cost', ours: () => by.ours(shape) } as const;
        await ctx.compare({
          ...common,
          bar: 'B1',
          name: `log call to a file, ${shape}`,
          goal: goals[shape].pino,
          peer: 'pino 10',
          theirs: () => by.pino(shape),
        });
        await ctx.compare({
          ...common,
          bar: 'B1',
          name: `log call to a file, ${shape}`,
          goal: goals[shape].winston,
          peer: 'winston 3',
          theirs: () => by.winston(shape),
        });
        await ctx.compare({
          ...common,
          bar: 'B2',
          name: `log call with two redacted paths, ids and context, ${shape}`,
          goal: 1.2,
          ours: () => by.oursFull(shape),
          peer: 'pino 10 with redact and mixin',
          theirs: () => by.pinoFull(shape),
        });
      }
      await ctx.compare({
        bar: 'B3',
        name: 'winston with our delivery, flat',
        unit: 'ns CPU/call',
        kind: 'cost',
        goal: 1.3,
        ours: () => by.oursWinston('flat'),
        peer: 'winston 3 File',
        theirs: () => by.winston('flat'),
      });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
});

export default suite;
