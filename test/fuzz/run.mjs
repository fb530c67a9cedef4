// npm run fuzz -- --seconds 600 [--only words] [--seed 42]: the fuzzers by hand, for as long as is asked.

import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    only: { type: "string", default: "" },
    seed: { type: "string" },
  },
});
const env = { ...process.env, CLAUDEMESH_FUZZ_SECONDS: values.seconds };
if (values.seed !== undefined) env.CLAUDEMESH_FUZZ_SEED = values.seed;
const { status } = spawnSync("npx", ["vitest", "run", "--project", "units", `test/fuzz/${values.only}`], {
  env,
  stdio: "inherit",
});
process.exitCode = status ?? 1;
