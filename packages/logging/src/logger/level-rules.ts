import type { LogLevel } from '@mnops/core/spi';
import { levelNames, levelRanks, silentRank } from './levels.js';

/** A level, or `silent` for none at all. */
export type LevelSetting = LogLevel | 'silent';

interface LevelRule {
  readonly pattern: RegExp;
  readonly weight: number;
  readonly rank: number;
}

/** Levels by name of logger, changeable while the program runs. */
export interface LevelRules {
  /** Goes up with each change, so that loggers notice it with one comparison. */
  readonly version: number;
  /** Rank for a logger of this name. */
  rankOf(name: string): number;
  /** Sets or, with `undefined`, removes the level of the loggers that a selector names. */
  set(selector: string, level: LevelSetting | undefined): void;
}

/**
 * Makes level rules. A selector is a name, or a name with `*` for any characters (`db.*`); `*` alone is the default. The
 * selector with the most characters beside `*` wins.
 */
export function levelRules(initial: LevelSetting | Readonly<Record<string, LevelSetting>>): LevelRules {
  const rules = new Map<string, LevelRule>();
  let version = 1;
  const set = (selector: string, level: LevelSetting | undefined): void => {
    version += 1;
    if (level === undefined) {
      rules.delete(selector);
      return;
    }
    const literal = selector.replaceAll('*', '');
    // An exact name wins over a pattern with as many characters.
    const weight = literal.length + (selector.includes('*') ? 0 : 0.5);
    rules.set(selector, { pattern: patternOf(selector), weight, rank: rankOfSetting(level) });
  };
  if (typeof initial === 'string') set('*', initial);
  else for (const [selector, level] of Object.entries(initial)) set(selector, level);
  return {
    get version() {
      return version;
    },
    rankOf(name) {
      let best: Omit<LevelRule, 'pattern'> = { weight: -1, rank: levelRanks.info };
      for (const rule of rules.values()) {
        if (rule.weight > best.weight && rule.pattern.test(name)) best = rule;
      }
      return best.rank;
    },
    set,
  };
}

/** Rank of a level or of `silent`. */
export function rankOfSetting(level: LevelSetting): number {
  return level === 'silent' ? silentRank : levelRanks[level];
}

/** Level or `silent` of a rank. */
export function settingOfRank(rank: number): LevelSetting {
  return levelNames[rank] ?? 'silent';
}

function patternOf(selector: string): RegExp {
  const parts = selector.split(/\*+/).map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'));
  return new RegExp(`^${parts.join('[^]*?')}$`);
}
