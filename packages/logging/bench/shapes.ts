/** The shapes of a log call that are compared. */
export const shapes = {
  message: (): object | undefined => undefined,
  flat: (index: number): object | undefined => ({ id: index, path: '/orders/42' }),
  nested: (index: number): object | undefined => ({
    user: { id: index, name: 'Ada', roles: ['admin', 'user'] },
    request: { method: 'GET', path: '/orders/42', headers: { host: 'shop.test', accept: '*/*' } },
    durationMs: 12.5,
  }),
} as const;

/** Name of a shape. */
export type ShapeName = keyof typeof shapes;

/** Calls before the event loop turns. */
export const callsPerTurn = 100;

/** Runs a log call many times, 100 in a turn of the event loop. */
export async function inTurns(count: number, call: (index: number) => void): Promise<void> {
  for (let index = 0; index < count; index += callsPerTurn) {
    for (let offset = 0; offset < callsPerTurn; offset += 1) call(index + offset);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
