// config.json: optional; every key has a default, a validator, and a careful value for when what the user wrote can't be
// read. Nothing here throws: mail goes on, and what is wrong is said by whoever reads this for a human.

import { lstatSync } from "node:fs";
import { jsonText } from "../clean.ts";
import { errnoOf, reasonOf } from "../errors.ts";
import { isObject, readSmall } from "./files.ts";
import { configFile } from "./home.ts";
import { oneLine } from "./message.ts";

export const BELLS = ["inbox", "channel", "watcher", "supervisor", "hooks"] as const;
export type Bell = (typeof BELLS)[number];
const INJECT = ["auto", "body", "sentinel", "never"] as const;

export interface Config {
  /** how the supervisor types mail: as the design says, always the text, always one line, or not at all */
  inject: (typeof INJECT)[number];
  /** which roads into a session are used */
  bells: readonly Bell[];
  /** ring the terminal (OSC 9) when mail was typed or could not be */
  notify: boolean;
  /** days that seen mail, unseen mail, dead mail, and peers that are gone are kept; Infinity: for good */
  keep_seen_days: number;
  keep_unseen_days: number;
  keep_dead_days: number;
  keep_gone_days: number;
  /** bytes after which the log is rotated */
  log_bytes: number;
}

/** The smallest log that is rotated. */
export const LEAST_BYTES = 1024;

/** What holds for a key that the user did not write. */
export const DEFAULTS: Config = {
  inject: "auto",
  bells: BELLS,
  notify: true,
  keep_seen_days: 14,
  keep_unseen_days: 30,
  keep_dead_days: 30,
  keep_gone_days: 14,
  log_bytes: 1024 * 1024,
};

/**
 * What holds for a key that the user wrote and that can't be read. He wanted something other than the default, so each
 * is the value that does least of what can't be undone:
 * - `inject`: a keystroke can't be taken back.
 * - `bells`: hooks alone. They wake nobody, post nothing and start no turn that costs money, and mail still comes with
 *   the next prompt; with no bell at all it would come to nobody, which is no safer.
 * - `notify`: a notice shows a sender's words on a screen that others may see.
 * - the terms: what was deleted is gone; what was kept only takes room.
 * - `log_bytes`: large, not endless. A log rotated early loses lines, one never rotated fills the disk that mail needs.
 */
export const CAREFUL: Config = {
  inject: "never",
  bells: ["hooks"],
  notify: false,
  keep_seen_days: Number.POSITIVE_INFINITY,
  keep_unseen_days: Number.POSITIVE_INFINITY,
  keep_dead_days: Number.POSITIVE_INFINITY,
  keep_gone_days: Number.POSITIVE_INFINITY,
  log_bytes: 64 * 1024 * 1024,
};

/** What the careful value of each key means, for those who are told that it holds. */
const MEANS: { [K in keyof Config]: string } = {
  inject: "nothing is typed",
  bells: "hooks alone bring mail",
  notify: "nobody is notified",
  keep_seen_days: "seen mail is kept",
  keep_unseen_days: "unread mail is kept",
  keep_dead_days: "dead mail is kept",
  keep_gone_days: "sessions that are gone are kept",
  log_bytes: "the log may grow to 64 MiB",
};

const isDays = (v: unknown) => typeof v === "number" && v >= 0 && v <= 36_500;
const VALID: { [K in keyof Config]: [test: (v: unknown) => boolean, says: string] } = {
  inject: [(v) => INJECT.some((i) => i === v), `one of ${INJECT.join(", ")}`],
  bells: [
    (v) => Array.isArray(v) && v.every((b) => BELLS.some((known) => known === b)),
    `a list of ${BELLS.join(", ")}`,
  ],
  notify: [(v) => typeof v === "boolean", "true or false"],
  keep_seen_days: [isDays, "a number of days"],
  keep_unseen_days: [isDays, "a number of days"],
  keep_dead_days: [isDays, "a number of days"],
  keep_gone_days: [isDays, "a number of days"],
  log_bytes: [(v) => typeof v === "number" && v >= LEAST_BYTES, `a number of bytes, ${LEAST_BYTES} or more`],
};
const KEYS = Object.keys(VALID) as (keyof Config)[];

export interface Reading {
  config: Config;
  /** what can't be used, a sentence each, with what holds instead; empty if all is well */
  problems: string[];
}

/** The configuration as it is on disk now. A missing file is all defaults; one that can't be read is all careful values. */
export function readConfig(): Reading {
  const file = configFile();
  let text: string | undefined;
  try {
    text = readSmall(file);
    if (text === undefined) return unreadable("it is not a small regular file that you may read");
  } catch (error) {
    // A link that leads nowhere is somebody's configuration, on a disk that is away for example.
    if (errnoOf(error) !== "ENOENT") return unreadable(reasonOf(error));
    if (lstatSync(file, { throwIfNoEntry: false })) return unreadable("the link leads nowhere");
    return { config: DEFAULTS, problems: [] };
  }
  try {
    // Some editors put a byte order mark before it.
    const given: unknown = JSON.parse(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text);
    return isObject(given) ? judged(given) : unreadable("it is not a JSON object");
  } catch (error) {
    // It quotes the file, line ends and all.
    return unreadable(oneLine((error as Error).message));
  }
}

const unreadable = (why: string): Reading => ({
  config: CAREFUL,
  problems: [
    `can't read ${configFile()}: ${why}; until it can be read nothing is typed, deleted or notified, and hooks alone bring mail`,
  ],
});

/** Key by key: what is wrong with one leaves the others as they are. */
function judged(given: Record<string, unknown>): Reading {
  const config: Record<string, unknown> = { ...DEFAULTS };
  const problems: string[] = [];
  const careful = (key: keyof Config, why: string) => {
    config[key] = CAREFUL[key];
    problems.push(`can't use ${configFile()}: ${why}; as long as it is so, ${MEANS[key]}`);
  };
  for (const [key, value] of Object.entries(given)) {
    if (!isKey(key)) continue;
    if (VALID[key][0](value)) config[key] = value;
    else careful(key, `"${key}" must be ${VALID[key][1]}`);
  }
  for (const key of Object.keys(given).filter((name) => !isKey(name))) {
    const meant = nearest(key);
    // Plainly meant for a key that is not there: what the user wanted of it can't be known.
    if (meant && !Object.hasOwn(given, meant))
      careful(meant, `there is no key ${quoted(key)}, perhaps "${meant}" is meant`);
    else
      problems.push(
        `can't use ${configFile()}: there is no key ${quoted(key)}${meant ? `; "${meant}" is there, too` : ""}`,
      );
  }
  return { config: config as unknown as Config, problems };
}

const isKey = (name: string): name is keyof Config => Object.hasOwn(VALID, name);
const quoted = (name: string) => jsonText(name.length > 40 ? `${name.slice(0, 40)}…` : name);

/** The known key that a misspelt one is closest to, if it is close. */
function nearest(name: string): keyof Config | undefined {
  const plain = (key: string) => key.toLowerCase().replace(/[^a-z]/g, "");
  const word = plain(name.slice(0, 100));
  const [best] = KEYS.map((key) => ({ key, away: distance(word, plain(key)) }))
    .filter(({ key, away }) => away <= Math.min(2, plain(key).length / 3))
    .sort((a, b) => a.away - b.away);
  return best?.key;
}

/** How many letters must be put in, left out, changed, or changed over with their neighbour, to make one word of the other. */
function distance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number) => rows[i]?.[j] ?? Number.POSITIVE_INFINITY;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const isSwap = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row[j] = Math.min(
        at(i - 1, j) + 1,
        at(i, j - 1) + 1,
        at(i - 1, j - 1) + Number(a[i - 1] !== b[j - 1]),
        isSwap ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY,
      );
    }
  }
  return at(a.length, b.length);
}
