import { type ChildProcess, spawn } from 'node:child_process';
import type { ProcessIdentity } from '@mnops/core/files';

/** Ends instances whose supervisor died. */
export interface Reaper {
  readonly pid: number | undefined;
  /** This process is to be ended too. */
  add(identity: ProcessIdentity): void;
  remove(identity: ProcessIdentity): void;
  /** The supervisor ends in order: nothing is left to do. */
  close(): void;
}

/**
 * A shell that reads which processes there are. At the end of its input, which comes when the supervisor is gone however it
 * ended, it waits for the grace time and kills those that still run. `$1` is the grace time in seconds, `$2` a temporary
 * folder to be removed then, or nothing. A process counts as
 * the same when its start time (field 22 of /proc/PID/stat) is the same; without /proc only its number counts.
 */
const script = `
trap '' INT TERM HUP
known=''
while read -r verb pid start; do
  case $verb in
    add) known="$known $pid:$start" ;;
    remove) rest=''; for one in $known; do [ "$one" = "$pid:$start" ] || rest="$rest $one"; done; known=$rest ;;
    close) exit 0 ;;
  esac
done
folder=$2
[ -z "$known" ] || [ "$1" = 0 ] || sleep "$1"
for one in $known; do
  pid=\${one%%:*}
  if [ -d /proc/self ]; then
    read -r stat < "/proc/$pid/stat" || continue
    set -- \${stat##*) }
    [ "\${20}" = "\${one#*:}" ] || continue
  fi
  kill -9 "-$pid"
done
[ -z "$folder" ] || rm -rf -- "$folder"
`;

/** Starts the watcher. @param graceMs - How long instances may wait for a new supervisor. */
export function startReaper(graceMs: number, temporaryFolder = ''): Reaper {
  const child: ChildProcess = spawn(
    '/bin/sh',
    ['-c', script, 'mnops-reaper', String(Math.ceil(graceMs / 1_000)), temporaryFolder],
    {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      env: { PATH: '/usr/bin:/bin' },
    },
  );
  child.on('error', () => undefined);
  child.stdin?.on('error', () => undefined);
  child.unref();
  // The pipe must not keep the process alive either.
  (child.stdin as { unref?: () => void } | null)?.unref?.();
  const say = (line: string): void => {
    if (child.stdin?.writable === true) child.stdin.write(`${line}\n`);
  };
  return {
    pid: child.pid,
    add: ({ pid, startTime }) => say(`add ${pid} ${startTime}`),
    remove: ({ pid, startTime }) => say(`remove ${pid} ${startTime}`),
    close: () => {
      say('close');
      child.stdin?.end();
    },
  };
}
