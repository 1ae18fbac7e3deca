import { execFile } from 'node:child_process';
import { open } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import type { ProbeConfig } from '@mnops/core/spi';

/** What a probe needs to know of an instance. */
export interface ProbeSubject {
  readonly host: string;
  readonly port: number | undefined;
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory?: string | undefined;
  readonly stdoutFile: string;
  readonly stderrFile: string;
  /** Where the output of this start begins in each file. */
  readonly outputFrom: { readonly stdout: number; readonly stderr: number };
}

/** Asks once, for at most the probe's timeout. Returns `undefined` when it succeeded, else why not in a few words. */
export async function probe(config: ProbeConfig, subject: ProbeSubject): Promise<string | undefined> {
  const { timeoutMs = 1_000 } = config;
  if ('logLine' in config && config.logLine !== undefined) return await logLine(config.logLine, subject);
  if ('exec' in config && config.exec !== undefined) return await exec(config.exec, subject, timeoutMs);
  if (subject.port === undefined) return 'The service has no port to ask.';
  if ('http' in config && config.http !== undefined) return await http(config.http, subject, timeoutMs);
  return await tcp(subject.host, subject.port, timeoutMs);
}

function http(
  { path, headers }: { readonly path: string; readonly headers?: Readonly<Record<string, string>> | undefined },
  { host, port }: ProbeSubject,
  timeoutMs: number,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    // A connection of its own: a kept one would not notice that the port takes no new ones.
    const asked = request({ host, port, path, agent: false, headers: { ...headers, connection: 'close' } });
    const timer = setTimeout(() => {
      resolve(`No answer to ${path} within ${timeoutMs} ms.`);
      asked.destroy();
    }, timeoutMs);
    asked.on('response', (response) => {
      clearTimeout(timer);
      const { statusCode = 0 } = response;
      response.destroy();
      resolve(statusCode >= 200 && statusCode < 400 ? undefined : `${path} answered ${statusCode}.`);
    });
    asked.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      resolve(`${path} could not be asked: ${error.code ?? error.name}.`);
    });
    asked.end();
  });
}

function tcp(host: string, port: number, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const done = (reason: string | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(reason);
    };
    const timer = setTimeout(() => done(`Port ${port} did not accept within ${timeoutMs} ms.`), timeoutMs);
    socket.on('connect', () => done(undefined));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      done(`Port ${port} does not accept: ${error.code ?? error.name}.`),
    );
  });
}

function exec(
  [program = '', ...args]: readonly string[],
  { environment, workingDirectory }: ProbeSubject,
  timeoutMs: number,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const options = {
      env: environment,
      cwd: workingDirectory,
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    } as const;
    execFile(program, args, options, (error) => {
      if (error === null) resolve(undefined);
      else if (error.killed === true) resolve(`${program} did not end within ${timeoutMs} ms.`);
      else resolve(`${program} ended with ${error.code ?? error.signal ?? 'an error'}.`);
    });
  });
}

const maxSearchedBytes = 10 * 1024 * 1024;

async function logLine(text: string, subject: ProbeSubject): Promise<string | undefined> {
  for (const channel of ['stdout', 'stderr'] as const) {
    const file = channel === 'stdout' ? subject.stdoutFile : subject.stderrFile;
    if (await holds(file, subject.outputFrom[channel], text)) return undefined;
  }
  return 'The awaited line has not been written.';
}

async function holds(file: string, from: number, text: string): Promise<boolean> {
  const handle = await open(file, 'r').catch(() => undefined);
  if (handle === undefined) return false;
  try {
    const { size } = await handle.stat();
    // After a rotation the file begins anew.
    const start = size < from ? 0 : from;
    const bytes = Buffer.alloc(Math.min(maxSearchedBytes, size - start));
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, start);
    return bytes.subarray(0, bytesRead).includes(text);
  } finally {
    await handle.close();
  }
}
