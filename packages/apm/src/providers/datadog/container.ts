import { readFile, stat } from 'node:fs/promises';

/** What the agent is told about the container that this process runs in; empty outside of one. */
export type ContainerHeaders = Readonly<Record<string, string>>;

// The last part of a cgroup's path: an id of Docker or containerd, of ECS Fargate, or of Garden.
const containerId = /([0-9a-f]{64}|[0-9a-f]{32}-\d{10}|[0-9a-f]{8}(?:-[0-9a-f]{4}){4})(?:\.scope)?$/;

/** The container's id in the text of `/proc/self/cgroup`; `undefined` outside of a container. */
export function containerIdOf(cgroupText: string): string | undefined {
  for (const line of cgroupText.split('\n')) {
    const id = containerId.exec(line.trim())?.[1];
    if (id !== undefined) return id;
  }
  return undefined;
}

/** Headers from which the agent knows the container, on Linux; elsewhere none. Never rejects. */
export async function containerHeaders(): Promise<ContainerHeaders> {
  try {
    const text = await readFile('/proc/self/cgroup', 'utf8');
    const id = containerIdOf(text);
    if (id !== undefined) return { 'datadog-container-id': id, 'datadog-entity-id': `ci-${id}` };
    // Where the container hides its id, the agent finds it by the inode of its cgroup.
    const path = /^0::(\/.+)$/m.exec(text)?.[1];
    if (path === undefined) return {};
    const { ino } = await stat(`/sys/fs/cgroup${path}`);
    return { 'datadog-entity-id': `in-${ino}` };
  } catch {
    return {};
  }
}
