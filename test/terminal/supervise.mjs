// Runs the built supervisor on the program given, as the command line does; with --plain first, without a terminal.
// KEYS_TO, if set, gets a copy of everything the user types. HOLD is how long, in ms, all of it is held back. At SIGUSR2
// the program is nudged.
import { appendFileSync } from "node:fs";
import { findProgram } from "../../dist/program.js";
import { spawnPlain } from "../../dist/terminal/plain.js";
import { supervise } from "../../dist/terminal/supervisor.js";

const [first, ...rest] = process.argv.slice(2);
const { env } = process;

if (first === "--plain") {
  process.exitCode = await spawnPlain(findProgram(rest[0]), rest.slice(1), env);
} else {
  const onInput = (chunk) => {
    if (env.KEYS_TO) appendFileSync(env.KEYS_TO, chunk);
    if (env.HOLD) setTimeout(() => child.write(chunk), Number(env.HOLD));
    return Boolean(env.HOLD);
  };
  const child = await supervise({ file: findProgram(first), args: rest, env, cwd: process.cwd(), onInput });
  process.on("SIGUSR2", child.nudge);
  if (env.TELL) child.tell(env.TELL);
  if (env.THROW)
    setTimeout(() => {
      throw new Error("thrown on purpose");
    }, 300);
  process.exitCode = (await child.exited).status;
}
