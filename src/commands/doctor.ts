// `claudemesh doctor`: looks at everything that mail needs, and really runs what can be run without a session.

import { setTimeout as pause } from "node:timers/promises";
import { checkClaudeCode } from "../claude/checkup.ts";
import { judgeScreen, showsPasted } from "../claude/screen.ts";
import { type Check, checkMesh, fine, wrong } from "../mesh/checkup.ts";
import { print } from "../print.ts";
import { openPty } from "../terminal/pty.ts";
import { createScreenModel } from "../terminal/screen-model.ts";
import { createTypist } from "../terminal/typist.ts";

/** How long, in ms, it may take to type one line into a terminal of ours. */
const PTY_MS = 10_000;

/** Prints a line a check, and the mend below each that failed; `--json`: `{check, ok, detail, fix}` each. Exit 1 if any failed. */
export async function run(_args: string[], options: Record<string, unknown>): Promise<void> {
  const mesh = checkMesh();
  const isHomeUsable = mesh.every(({ check, ok }) => ok || check !== "home");
  const checks = [...mesh, await checkTyping(), ...(await checkClaudeCode(isHomeUsable))];
  const line = ({ check, ok, detail, fix }: Check) =>
    `${ok ? "ok" : "!!"}  ${check}: ${detail}${fix ? `\n      ${fix}` : ""}`;
  await print(options, checks, checks.map(line).join("\n"));
  if (checks.some(({ ok }) => !ok)) process.exitCode = 1;
}

const TEXT = "hello from the claudemesh doctor";
/** Draws an empty prompt box as claude does, shows in it what is pasted, and ends well if Enter finds just the text there. */
const PROMPT_BOX = String.raw`
  process.stdin.setRawMode(true);
  let text = "";
  const rule = "\u2500".repeat(process.stdout.columns);
  const draw = () => process.stdout.write("\x1b[2J\x1b[H" + rule + "\r\n\u276f " + text + "\r\n" + rule + "\x1b[2;" + (text.length + 3) + "H");
  process.stdin.on("data", (data) => {
    const isRight = text === ${JSON.stringify(TEXT)};
    if (!data.includes("\r")) text += data.toString().replace(/\x1b\[20[01]~/g, "");
    else text = "";
    draw();
    if (data.includes("\r")) setTimeout(() => process.exit(isRight ? 0 : 3), 200);
  });
  draw();`;

/** Types into a prompt box in a terminal of our own, as the supervisor does: that node-pty can be loaded proves too little. */
async function checkTyping(): Promise<Check> {
  const instead =
    "npm install -g claudemesh again, without --omit=optional; until then plain `claude` after `claudemesh install`";
  try {
    const size = { cols: 80, rows: 24 };
    const env = { ...process.env, TERM: "xterm-256color" };
    const pty = await openPty({ file: process.execPath, args: ["-e", PROMPT_BOX], env, cwd: "/" }, size);
    const screen = createScreenModel(size);
    const typist = createTypist({
      write: pty.write,
      screen: screen.read,
      allClear: () => true,
      judge: judgeScreen,
      showsPasted,
      // It draws at each key, or is killed.
      nudge: async () => {},
    });
    pty.onData((chunk) => {
      screen.feed(chunk);
      typist.sawOutput();
    });
    const ended = new Promise<number>((resolve) => pty.onExit(({ code }) => resolve(code)));
    void ended.then(typist.stop);
    const timer = setTimeout(() => process.kill(pty.pid, "SIGKILL"), PTY_MS);
    let typed = await typist.type(TEXT);
    // Until the box is drawn there is none.
    while (typed === "not clear" && !(await Promise.race([ended.then(() => true), pause(50)])))
      typed = await typist.type(TEXT);
    const code = await ended;
    clearTimeout(timer);
    if (typed === "entered" && code === 0)
      return fine("bell supervisor", "typed into a terminal of ours, and came out there");
    return wrong(
      "bell supervisor",
      `typing into a terminal of ours: ${typed}, and its program ended with ${code}`,
      instead,
    );
  } catch (error) {
    return wrong("bell supervisor", (error as Error).message, instead);
  }
}
