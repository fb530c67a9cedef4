// config.json: optional; every key has a default and a validator.

import { errnoOf, MeshError } from "../errors.ts";
import { isObject, readSmall } from "./files.ts";
import { configFile } from "./home.ts";

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
  /** days that seen mail, unseen mail, dead mail, and peers that are gone are kept */
  keep_seen_days: number;
  keep_unseen_days: number;
  keep_dead_days: number;
  keep_gone_days: number;
  /** bytes after which the log is rotated */
  log_bytes: number;
}

/** The smallest log that is rotated. */
export const LEAST_BYTES = 1024;

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

/** The configuration. Throws MeshError BAD_CONFIG naming the key that is wrong; a missing file is all defaults. */
export function readConfig(): Config {
  let given: unknown;
  try {
    const text = readSmall(configFile());
    if (text === undefined)
      throw new MeshError("BAD_CONFIG", `can't read ${configFile()}: it is no small file`, "mend it or remove it");
    given = JSON.parse(text);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return DEFAULTS;
    if (error instanceof MeshError) throw error;
    throw new MeshError(
      "BAD_CONFIG",
      `can't read ${configFile()}: ${(error as Error).message}`,
      "mend it or remove it",
    );
  }
  if (!isObject(given))
    throw new MeshError("BAD_CONFIG", `can't read ${configFile()}: it is not a JSON object`, "mend it or remove it");
  for (const [key, [isValid, says]] of Object.entries(VALID))
    if (key in given && !isValid(given[key]))
      throw new MeshError(
        "BAD_CONFIG",
        `can't use ${configFile()}: "${key}" must be ${says}`,
        "mend it or remove the key",
      );
  return { ...DEFAULTS, ...given };
}

/** The configuration, or the defaults where it can't be used: for roads that must not stop. */
export function safeConfig(): Config {
  try {
    return readConfig();
  } catch {
    return DEFAULTS;
  }
}
