/** Values for which the largest score is remembered. */
const length = 600;
/** What is left of a score that is not above the largest of that time. */
const left = 0.35;

/** Lets a run of alarms count once: what follows a higher score is told as much lower than it is. */
export class CoolDown {
  #largest = 0;
  #age = 0;

  next(score: number): number {
    this.#age += 1;
    if (this.#age > length) this.#largest = 0;
    if (score <= this.#largest) return score * left;
    this.#largest = score;
    this.#age = 0;
    return score;
  }
}
