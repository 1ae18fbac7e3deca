/** Rates that back ends ask for, by `service:NAME,env:ENVIRONMENT`; the key `service:,env:` is for all others. */
export class BackEndRates {
  readonly #key: string;
  #rate: number | undefined;

  constructor(service: string, environment: string | undefined) {
    this.#key = `service:${service},env:${environment ?? ''}`;
  }

  /** The rate for this program, 0 to 1; `undefined` until a back end has named one. */
  get rate(): number | undefined {
    return this.#rate;
  }

  /** Takes the rates of an answer. What is not a share is left out. */
  update(rates: ReadonlyMap<string, number>): void {
    const rate = rates.get(this.#key) ?? rates.get('service:,env:');
    if (typeof rate === 'number' && rate >= 0 && rate <= 1) this.#rate = rate;
  }
}
