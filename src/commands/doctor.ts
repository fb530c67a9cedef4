// `claudemesh doctor`: looks at everything that mail needs, and really runs what can be run without a session.

import { checkClaudeCode } from "../claude/checkup.ts";
import { type Check, checkMesh, fine, wrong } from "../mesh/checkup.ts";
import { print } from "../print.ts";
import { findProgram, openPty } from "../terminal/pty.ts";

/** How long, in ms, a program in a terminal of ours may take to say one word. */
const PTY_MS = 5000;

/** Prints a line a check, and the mend below each that failed; `--json`: `{check, ok, detail, fix}` each. Exit 1 if any failed. */
export async function run(_args: string[], options: Record<string, unknown>): Promise<void> {
  const mesh = checkMesh();
  const isHomeUsable = mesh.every(({ check, ok }) => ok || check !== "home");
  const checks = [...mesh, await checkPty(), ...(await checkClaudeCode(isHomeUsable))];
  const line = ({ check, ok, detail, fix }: Check) =>
    `${ok ? "ok" : "!!"}  ${check}: ${detail}${fix ? `\n      ${fix}` : ""}`;
  await print(options, checks, checks.map(line).join("\n"));
  if (checks.some(({ ok }) => !ok)) process.exitCode = 1;
}

/** Starts a program under a terminal and reads what it says there: that node-pty can be loaded proves too little. */
async function checkPty(): Promise<Check> {
  const instead =
    "npm install -g claudemesh again, without --omit=optional; until then plain `claude` after `claudemesh install`";
  const sh = findProgram("sh");
  if (!sh) return wrong("terminal", "there is no sh on PATH", "mend PATH");
  try {
    const program = { file: sh, args: ["-c", "test -t 0 && echo terminal"], env: process.env, cwd: "/" };
    const pty = await openPty(program, { cols: 80, rows: 24 });
    let said = "";
    pty.onData((chunk) => {
      said += chunk;
    });
    const code = await new Promise<number>((resolve) => {
      const timer = setTimeout(() => resolve(-1), PTY_MS);
      pty.onExit((ending) => {
        clearTimeout(timer);
        resolve(ending.code);
      });
    });
    if (code === 0 && said.includes("terminal")) return fine("terminal", "a program ran in a terminal of ours");
    return wrong(
      "terminal",
      `a program in a terminal of ours ended with ${code} and said ${JSON.stringify(said)}`,
      instead,
    );
  } catch (error) {
    return wrong("terminal", (error as Error).message, instead);
  }
}
