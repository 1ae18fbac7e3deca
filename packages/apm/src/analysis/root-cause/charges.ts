import { peerOf } from '../span-facts.js';
import type { Step } from './taken-apart.js';

/** Children of one span beyond which they are not compared with each other. */
const maxSiblings = 200;

/**
 * Milliseconds of a span outside of the union of its children; children may overlap and outlive it. Calls that run beside
 * the span explain its time too: in event-driven code the work that waits for a call is often not the call's parent.
 */
export function exclusiveMs(step: Step): number {
  const { startMs, endMs, children, parent } = step;
  const beside = besideOf(step, parent);
  if (children.length === 0 && beside === undefined) return endMs - startMs;
  if (children.length === 1 && beside === undefined) {
    const [only] = children;
    return only === undefined ? endMs - startMs : endMs - startMs - overlapMs(step, only);
  }
  const others = children.map((child) => stretchOf(step, child));
  if (beside !== undefined) {
    for (const other of beside) if (other !== step && other.span.kind === 'client') others.push(other);
  }
  others.sort((a, b) => a.startMs - b.startMs);
  let covered = 0;
  let reached = startMs;
  for (const other of others) {
    const from = Math.max(other.startMs, reached);
    const to = Math.min(other.endMs, endMs);
    if (to > from) {
      covered += to - from;
      reached = to;
    }
  }
  return Math.max(0, endMs - startMs - covered);
}

/** What the parent called, where calls to other services are among it. */
function besideOf(step: Step, parent: Step | undefined): readonly Step[] | undefined {
  if (step.span.kind === 'client' || parent === undefined || parent.clients === 0) return undefined;
  return parent.children.length <= maxSiblings ? parent.children : undefined;
}

interface Stretch {
  readonly startMs: number;
  readonly endMs: number;
}

function overlapMs(step: Step, child: Step): number {
  const { startMs, endMs } = stretchOf(step, child);
  return Math.max(0, Math.min(endMs, step.endMs) - Math.max(startMs, step.startMs));
}

/**
 * When a child ran by the clock of its parent. An answered call lies within the caller's wait: where it does not by its
 * own clock, and would fit, the clocks differ, and it is put into the middle.
 */
function stretchOf(step: Step, child: Step): Stretch {
  const { startMs, endMs, span, origin } = step;
  if (span.kind !== 'client' || child.origin === origin || child.origin.service === origin.service) return child;
  if (child.startMs >= startMs && child.endMs <= endMs) return child;
  const spareMs = endMs - startMs - (child.endMs - child.startMs);
  if (spareMs < 0) return child;
  return { startMs: startMs + spareMs / 2, endMs: endMs - spareMs / 2 };
}

/** Whether a call failed, and nothing that it called did. */
export function failedItself({ span, children }: Step): boolean {
  return span.status.code === 'error' && !children.some((child) => child.span.status.code === 'error');
}

/** Whom the time of a span is charged to besides the operation itself: who answered a call, or whom the caller names. */
export function chargedTo({ span, origin, children }: Step): {
  readonly remote?: Step | undefined;
  readonly peer?: string | undefined;
} {
  if (span.kind !== 'client') return itself;
  const remote = children.find((child) => child.origin.service !== origin.service);
  if (remote !== undefined) return { remote };
  // Nobody answered with a span: the time and the failure belong to whom the caller names.
  return { peer: peerOf(span)?.name };
}

const itself = {};
