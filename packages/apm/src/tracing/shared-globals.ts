import type { ContextManager, TextMapPropagator, Tracer } from '@opentelemetry/api';
import { idleTracer } from './idle-tracer.js';

type Api = typeof import('@opentelemetry/api');

/** A manager that answers what libraries ask of OpenTelemetry's globals. */
export interface GlobalsClaimant {
  getTracer(name: string, version?: string): Tracer;
  readonly propagator: TextMapPropagator;
  /** Called when it answers from now on, because the one before it has ended. */
  promoted(): void;
}

/** One manager's part in the globals. */
export interface SharedGlobals {
  /** Where the active context is kept, for all managers of this process. */
  readonly contexts: ContextManager;
  /** Whether this one answers now; else an older one does. */
  readonly answers: boolean;
  /** The next one answers; the last one gives the globals back. */
  leave(): void;
}

interface Place {
  /** Version of this object; every copy of this package in the process uses the one that the first made. */
  readonly version: 1;
  readonly contexts: ContextManager;
  /** Oldest first; the first one answers. */
  readonly claimants: GlobalsClaimant[];
}

const placeName = Symbol.for('mnops.apm.globals');

/**
 * Takes part in OpenTelemetry's globals. While several managers run, as they do for a moment when a program replaces one
 * by another, the oldest answers. Libraries keep the tracers that they got, so what they got asks who answers now.
 *
 * @returns `undefined` when another SDK has the globals.
 */
export function joinGlobals(
  api: Api,
  newContexts: () => ContextManager,
  own: GlobalsClaimant,
): SharedGlobals | undefined {
  const shared = globalThis as { [placeName]?: Place };
  shared[placeName] ??= { version: 1, contexts: newContexts(), claimants: [] };
  const place = shared[placeName];
  if (place.version !== 1) return undefined;
  const { contexts, claimants } = place;
  if (claimants.length === 0) {
    contexts.enable();
    if (!register(api, place)) return undefined;
  }
  claimants.push(own);
  return {
    contexts,
    get answers() {
      return claimants[0] === own;
    },
    leave() {
      const at = claimants.indexOf(own);
      if (at === -1) return;
      claimants.splice(at, 1);
      if (claimants.length === 0) {
        for (const part of [api.trace, api.context, api.propagation]) part.disable();
        contexts.disable();
      } else if (at === 0) claimants[0]?.promoted();
    },
  };
}

/** Sets all three globals, or none when any of them is taken. */
function register(api: Api, place: Place): boolean {
  const getTracer = (name: string, version?: string): Tracer => forwardingTracer(place, name, version);
  if (!api.trace.setGlobalTracerProvider({ getTracer })) return false;
  if (!api.context.setGlobalContextManager(place.contexts)) {
    api.trace.disable();
    return false;
  }
  if (!api.propagation.setGlobalPropagator(forwardingPropagator(place))) {
    api.trace.disable();
    api.context.disable();
    return false;
  }
  return true;
}

/** The tracer of whoever answers; its spans record nothing while nobody does. */
function forwardingTracer({ claimants }: Place, name: string, version: string | undefined): Tracer {
  const made = new WeakMap<GlobalsClaimant, Tracer>();
  const idle = idleTracer();
  const current = (): Tracer => {
    const [first] = claimants;
    if (first === undefined) return idle;
    let tracer = made.get(first);
    if (tracer === undefined) {
      tracer = first.getTracer(name, version);
      made.set(first, tracer);
    }
    return tracer;
  };
  return {
    startSpan: (...all) => current().startSpan(...all),
    startActiveSpan: (...all: unknown[]) => {
      const start = current().startActiveSpan as (...parameters: unknown[]) => unknown;
      return start(...all);
    },
  } as Tracer;
}

function forwardingPropagator({ claimants }: Place): TextMapPropagator {
  return {
    inject: (context, carrier, setter) => claimants[0]?.propagator.inject(context, carrier, setter),
    extract: (context, carrier, getter) => claimants[0]?.propagator.extract(context, carrier, getter) ?? context,
    fields: () => claimants[0]?.propagator.fields() ?? [],
  };
}
