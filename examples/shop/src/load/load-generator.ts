import { Agent, request } from 'node:http';

/** One request that the generator makes: mostly reads, some orders. */
export interface LoadPlan {
  /** Address of the gateway. */
  readonly url: string;
  /** Requests per second. */
  readonly rate: number;
  /** Share of requests that place an order. */
  readonly orderShare: number;
  /** Requests under way at most; what would be due beyond them is held back, so that a busy machine is not flooded. */
  readonly maxInFlight: number;
}

/** What happened in one interval. */
export interface LoadFigures {
  /** End of the interval, epoch milliseconds. */
  readonly atMs: number;
  readonly sent: number;
  readonly ok: number;
  /** Answers with status 500 and above. */
  readonly serverErrors: number;
  /** Requests without a whole answer: refused, reset, timed out. */
  readonly dropped: number;
  /** Orders that the shop acknowledged. */
  readonly orders: number;
  /** Requests that were due and not sent, because enough were under way. */
  readonly heldBack: number;
  /** Milliseconds of the answers, unsorted. */
  readonly latenciesMs: readonly number[];
}

const skus = Array.from({ length: 40 }, (_, index) => `sku-${index + 1}`);

/**
 * Sends requests at a steady rate over keep-alive connections, as long as the shop keeps up, and counts what comes back.
 */
export class LoadGenerator {
  readonly #plan: LoadPlan;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  readonly #report: (figures: LoadFigures) => void;
  #timer: NodeJS.Timeout | undefined;
  #startedAt = 0;
  #due = 0;
  #sent = 0;
  #inFlight = 0;
  #interval = emptyInterval();

  constructor(plan: LoadPlan, report: (figures: LoadFigures) => void) {
    this.#plan = plan;
    this.#report = report;
  }

  start(): void {
    this.#startedAt = performance.now();
    let reportedAt = this.#startedAt;
    this.#timer = setInterval(() => {
      const now = performance.now();
      // What is due by now: a late tick sends the missing ones, so the rate holds on a busy machine.
      const due = Math.floor(((now - this.#startedAt) / 1_000) * this.#plan.rate);
      for (; this.#due < due; this.#due++) {
        if (this.#inFlight < this.#plan.maxInFlight) this.#send();
        else this.#interval.heldBack++;
      }
      if (now - reportedAt < 250) return;
      reportedAt = now;
      this.#flush();
    }, 5);
  }

  /** Stops sending, waits for the answers under way and reports the rest. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    const giveUpAt = performance.now() + 5_000;
    while (this.#inFlight > 0 && performance.now() < giveUpAt) await new Promise((resolve) => setTimeout(resolve, 10));
    this.#flush();
    this.#agent.destroy();
  }

  #flush(): void {
    this.#report({ atMs: Date.now(), ...this.#interval });
    this.#interval = emptyInterval();
  }

  #send(): void {
    const number = this.#sent++;
    const isOrder = (number % 100) / 100 < this.#plan.orderShare;
    const sku = skus[number % skus.length] ?? 'sku-1';
    const body = isOrder ? JSON.stringify({ sku, quantity: 1 + (number % 3) }) : undefined;
    const startedAt = performance.now();
    this.#inFlight++;
    this.#interval.sent++;
    let settled = false;
    const settle = (outcome: 'ok' | 'serverErrors' | 'dropped'): void => {
      if (settled) return;
      settled = true;
      this.#inFlight--;
      this.#interval[outcome]++;
      if (outcome === 'ok' && isOrder) this.#interval.orders++;
      this.#interval.latenciesMs.push(performance.now() - startedAt);
    };
    const outgoing = request(
      `${this.#plan.url}${isOrder ? '/orders' : `/products/${sku}`}`,
      {
        agent: this.#agent,
        method: isOrder ? 'POST' : 'GET',
        timeout: 10_000,
        headers:
          body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      },
      (response) => {
        response.resume();
        response.once('end', () => settle((response.statusCode ?? 500) < 500 ? 'ok' : 'serverErrors'));
        response.once('close', () => settle('dropped'));
      },
    );
    outgoing.once('timeout', () => outgoing.destroy(new Error('timeout')));
    outgoing.once('error', () => settle('dropped'));
    outgoing.end(body);
  }
}

function emptyInterval(): { -readonly [K in keyof Omit<LoadFigures, 'atMs' | 'latenciesMs'>]: number } & {
  latenciesMs: number[];
} {
  return { sent: 0, ok: 0, serverErrors: 0, dropped: 0, orders: 0, heldBack: 0, latenciesMs: [] };
}
