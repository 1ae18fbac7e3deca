import type { SpanKindName } from '@mnops/core/spi';
import { writeWords } from '../store/hex-words.js';
import type { BackEndRates } from './back-end-rates.js';
import {
  passes,
  randomnessAbove,
  randomnessOf,
  readOtelMember,
  thresholdOf,
  writeOtelMember,
} from './consistent-probability.js';
import { RateLimiter } from './rate-limiter.js';
import type { HeadSampler } from './sampling-config.js';
import { compileMatch } from './span-match.js';

/** What is asked where a trace begins in this process. */
export interface HeadQuestion {
  readonly traceId: string;
  readonly name: string;
  readonly kind: SpanKindName;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** What the caller has decided; `undefined` when there is none, or it left the decision open. */
  readonly callerSampled: boolean | undefined;
  /** Value of the caller's `ot` in `tracestate`. */
  readonly member: string | undefined;
}

/** What was decided. */
export interface HeadVerdict {
  readonly sampled: boolean;
  /** The new value of `ot`; empty: none; `undefined`: as it was. */
  readonly member: string | undefined;
}

/** Decides one trace. */
export type HeadDecider = (question: HeadQuestion) => HeadVerdict;

/** What samplers need of the process. */
export interface HeadSurroundings {
  readonly service: string;
  readonly rates: BackEndRates;
  readonly random: () => number;
  readonly monotonicMs: () => number;
  /** Every rate limiter that is made. */
  readonly limiters: RateLimiter[];
}

const sampledAsIs: HeadVerdict = Object.freeze({ sampled: true, member: undefined });
const droppedAsIs: HeadVerdict = Object.freeze({ sampled: false, member: undefined });

/** Makes the decider of a sampler. One that is asked at every span decides as always on where a trace begins. */
export function headDecider(sampler: HeadSampler, surroundings: HeadSurroundings): HeadDecider {
  switch (sampler.kind) {
    case 'always-off':
      return ({ member }) => dropped(member);
    case 'ratio':
      return ratioDecider(sampler.ratio, surroundings.random);
    case 'probability':
      return probabilityDecider(sampler.probability);
    case 'rate-limit': {
      const limiter = new RateLimiter(sampler.tracesPerSecond, surroundings.monotonicMs);
      surroundings.limiters.push(limiter);
      return (question) => {
        const count = limiter.offer();
        return count === 0 ? dropped(question.member) : keptByChance(1 / count, question, surroundings.random);
      };
    }
    case 'rules':
      return rulesDecider(sampler.rules, sampler.otherwise, surroundings);
    case 'back-end-rates':
      return backEndDecider(headDecider(sampler.otherwise, surroundings), surroundings.rates);
    case 'parent-based': {
      const root = headDecider(sampler.root, surroundings);
      return (question) => {
        if (question.callerSampled === undefined) return root(question);
        return question.callerSampled ? sampledAsIs : dropped(question.member);
      };
    }
    default:
      return ({ member }) => always(member);
  }
}

function ratioDecider(ratio: number, random: () => number): HeadDecider {
  if (ratio <= 0) return ({ member }) => dropped(member);
  if (ratio >= 1) return ({ member }) => always(member);
  const bound = Math.floor(ratio * 0xffff_ffff);
  const words = new Uint32Array(4);
  return (question) => {
    const { traceId, member } = question;
    // Nearly all are told by the first digits of the four words.
    const top = digitAt(traceId, 0) ^ digitAt(traceId, 8) ^ digitAt(traceId, 16) ^ digitAt(traceId, 24);
    if (top > bound >>> 28 || !writeWords(traceId, words, 0, 4)) return dropped(member);
    const folded = fold(words);
    return folded < bound ? keptByChance(ratio, question, random) : dropped(member);
  };
}

function digitAt(text: string, position: number): number {
  const code = text.charCodeAt(position);
  return code < 58 ? code - 48 : code - 87;
}

function fold(words: Uint32Array): number {
  return ((words[0] as number) ^ (words[1] as number) ^ (words[2] as number) ^ (words[3] as number)) >>> 0;
}

function probabilityDecider(probability: number): HeadDecider {
  if (probability <= 0) return ({ member }) => dropped(member);
  const threshold = thresholdOf(probability);
  const alone: HeadVerdict = Object.freeze({
    sampled: true,
    member: writeOtelMember({ threshold, randomness: undefined, others: [] }),
  });
  return ({ traceId, member }) => {
    // Nearly every trace that begins here has no member yet.
    if (member === undefined) return passes(traceId.slice(-14), threshold) ? alone : droppedAsIs;
    const said = readOtelMember(member);
    if (!passes(randomnessOf(traceId, said), threshold)) return dropped(member);
    return { sampled: true, member: writeOtelMember({ ...said, threshold }) };
  };
}

function rulesDecider(
  rules: Extract<HeadSampler, { kind: 'rules' }>['rules'],
  otherwise: HeadSampler,
  surroundings: HeadSurroundings,
): HeadDecider {
  const compiled = rules.map((rule) => ({
    matches: compileMatch(rule),
    decide: headDecider(rule.sampler, surroundings),
  }));
  const last = headDecider(otherwise, surroundings);
  return (question) => {
    const { name, kind, attributes } = question;
    const rule = compiled.find(({ matches }) => matches(name, kind, attributes, surroundings.service));
    return (rule?.decide ?? last)(question);
  };
}

function backEndDecider(otherwise: HeadDecider, rates: BackEndRates): HeadDecider {
  let rate: number | undefined;
  let decide = otherwise;
  return (question) => {
    if (rates.rate !== rate) {
      rate = rates.rate;
      decide = rate === undefined ? otherwise : probabilityDecider(rate);
    }
    return decide(question);
  };
}

/**
 * Says with what probability something was kept that was not decided by the trace's randomness. Samplers after this one
 * compare with the randomness, so one that would not have passed is replaced by one that does.
 */
function keptByChance(probability: number, { traceId, member }: HeadQuestion, random: () => number): HeadVerdict {
  if (probability >= 1) return always(member);
  const said = readOtelMember(member);
  const threshold = thresholdOf(probability);
  const passed = passes(randomnessOf(traceId, said), threshold);
  const randomness = passed ? said.randomness : randomnessAbove(threshold, random);
  return { sampled: true, member: writeOtelMember({ ...said, threshold, randomness }) };
}

/** Kept with certainty: whatever share a caller named does not hold here. */
function always(member: string | undefined): HeadVerdict {
  return member?.includes('th:') === true ? { sampled: true, member: withoutThreshold(member) } : sampledAsIs;
}

/** `th` belongs to traces that are sampled only. */
function dropped(member: string | undefined): HeadVerdict {
  return member?.includes('th:') === true ? { sampled: false, member: withoutThreshold(member) } : droppedAsIs;
}

function withoutThreshold(member: string): string {
  return writeOtelMember({ ...readOtelMember(member), threshold: undefined });
}
