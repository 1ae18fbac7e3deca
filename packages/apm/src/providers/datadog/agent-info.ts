import { type HttpClient, type HttpResponse, resourceUrl } from '@mnops/core/http';
import { isTaken } from '../http-exporter.js';
import type { AgentAbilities } from './encode.js';

/** Milliseconds for the question; an agent answers it at once. */
const timeoutMs = 2_000;

/**
 * What an agent says that it can do. It is asked beside the delivery, after a batch that was taken, and again when the
 * agent says with an answer that it is another one or has changed.
 */
export class AgentInfo {
  readonly #client: HttpClient;
  readonly #url: URL;
  readonly #ending = new AbortController();
  /** State that the agent had when it was asked; `undefined` before. */
  #askedIn: string | undefined;
  #asking: Promise<void> | undefined;
  #abilities: AgentAbilities = { spanEvents: false };

  constructor(client: HttpClient, base: string | URL) {
    this.#client = client;
    this.#url = resourceUrl(base, 'info');
  }

  /** What the agent can do, as far as it is known by now. */
  get abilities(): AgentAbilities {
    return this.#abilities;
  }

  /** Looks at an answer of the agent, and asks where it is not known yet what this agent can do. Never throws. */
  heed({ headers }: HttpResponse): void {
    const state = headers['datadog-agent-state'] ?? '';
    if (this.#asking !== undefined || state === this.#askedIn || this.#ending.signal.aborted) return;
    this.#asking = this.#ask(state).finally(() => {
      this.#asking = undefined;
    });
  }

  /** Gives up a question that is under way. */
  async close(): Promise<void> {
    this.#ending.abort();
    await this.#asking;
  }

  async #ask(state: string): Promise<void> {
    let spanEvents = false;
    try {
      const { signal } = this.#ending;
      const response = await this.#client.request({ method: 'GET', url: this.#url, signal, timeoutMs });
      // Agents from before 2021 answer 404: that is an answer, too.
      if (!isTaken(response) && response.status !== 404) return;
      spanEvents = isTaken(response) && response.json<{ span_events?: unknown } | null>()?.span_events === true;
    } catch {
      // Asked again after the next batch: the form that every agent reads goes on meanwhile.
      return;
    }
    this.#askedIn = state;
    this.#abilities = { spanEvents };
  }
}
