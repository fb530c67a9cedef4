// The configuration as it holds now, for whoever acts by it. It never fails; what is wrong with the file goes to the log,
// once for each process and state of the file.

import { type Config, readConfig } from "./config-file.ts";
import { log } from "./log.ts";

export { BELLS, type Bell, type Config, DEFAULTS } from "./config-file.ts";

let told = "";

/** The configuration, read anew: with careful values for what can't be read. */
export function safeConfig(): Config {
  const { config, problems } = readConfig();
  const said = problems.join("\n");
  if (said !== told) for (const problem of problems) log("config-error", problem);
  told = said;
  return config;
}
