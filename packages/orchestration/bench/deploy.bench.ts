import { spawn } from 'node:child_process';
import { connect, createServer } from 'node:net';
import { ContainerOrchestrationManager, local } from '@mnops/orchestration';
import { type BenchContext, type BenchSuite, defineBench } from '@mnops/tooling/bench';

const program = "require('node:http').createServer((q, r) => r.end('ok')).listen(process.env.PORT, '127.0.0.1')";

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** Time until the bare program accepts connections. */
async function appStartMs(): Promise<number> {
  const port = await freePort();
  const startedMs = performance.now();
  const child = spawn(process.execPath, ['-e', program], {
    env: { ...process.env, PORT: String(port) },
    stdio: 'ignore',
  });
  const accepts = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect({ port, host: '127.0.0.1' });
      socket.on('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
  while (!(await accepts())) await new Promise((resolve) => setTimeout(resolve, 1));
  const durationMs = performance.now() - startedMs;
  child.kill('SIGKILL');
  return durationMs;
}

async function run(context: BenchContext): Promise<void> {
  const manager = new ContainerOrchestrationManager({ provider: local() });
  await manager.start();
  try {
    await context.limit({
      bar: 'B12',
      name: 'cold deploy, from the call to routed, over the start of the app itself',
      unit: 'ms',
      limit: 60,
      measure: async () => {
        const app = await appStartMs();
        const startedMs = performance.now();
        await manager.deploy({
          name: 'web',
          ports: [{ name: 'http' }],
          containers: [{ command: [process.execPath, '-e', program] }],
        });
        const deployMs = performance.now() - startedMs;
        await manager.remove('web');
        return Math.max(0, deployMs - app);
      },
    });
  } finally {
    await manager.stop();
  }
}

const suite: BenchSuite = defineBench({ package: 'orchestration', suite: 'deploy', run });
export default suite;
