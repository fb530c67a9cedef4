import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { findProgram } from "../../src/program.ts";
import { isStopped } from "../../src/terminal/job-control.ts";
import { descendants } from "../real/processes.ts";
import { tempHome, until } from "../temp-home.ts";
import { openOuter, supervised, superviseScript } from "./outer.ts";

const suspends = new URL("./suspends.mjs", import.meta.url).pathname;
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

describe("a supervised program", () => {
  it("gives its exit code on", async () => {
    const outer = await supervised(["sh", "-c", "exit 7"]);
    expect(await outer.ended()).toEqual({ code: 7, signal: 0 });
  });

  it("killed by SIGTERM ends us with 143", async () => {
    const outer = await supervised(["sh", "-c", "kill -TERM $$"]);
    expect((await outer.ended()).code).toBe(143);
  });

  it("has the size of the user's terminal and follows it", async () => {
    const outer = await supervised(["sh", "-c", "while :; do stty size; sleep 0.05; done"]);
    await outer.shows("24 80");
    outer.resize({ cols: 101, rows: 31 });
    await outer.shows("31 101");
  });

  it("gets every byte that is typed, interrupt and suspend keys too", async () => {
    const outer = await supervised(["sh", "-c", "stty raw -echo; echo ready; head -c 7 | od -An -tx1; exit 0"]);
    await outer.shows("ready");
    outer.write(Buffer.from([0x03, 0x1a, 0x1c, 0x0d, 0x11, 0xff, 0xc3]));
    await outer.shows("03 1a 1c 0d 11 ff c3");
    await outer.ended();
  });

  it("writes 5 MB of random bytes that come out identical", async () => {
    const { path } = tempHome();
    const bytes = randomBytes(5 << 20);
    writeFileSync(path("random"), bytes);
    const outer = await supervised(["sh", "-c", `stty raw -echo; cat ${path("random")}`]);
    expect((await outer.ended()).code).toBe(0);
    expect(outer.output().equals(bytes)).toBe(true);
  });

  it("is sent the signals that we are sent, and we end as it does", async () => {
    for (const [signal, code] of [
      ["SIGTERM", 11],
      ["SIGHUP", 12],
      ["SIGINT", 13],
      ["SIGQUIT", 14],
    ] as const) {
      const trap = `trap "exit ${code}" ${signal.slice(3)}; echo ready; while :; do sleep 0.05; done`;
      const outer = await supervised(["sh", "-c", trap]);
      await outer.shows("ready");
      process.kill(outer.pid, signal);
      expect((await outer.ended()).code).toBe(code);
    }
  });

  it("killed with its modes on leaves none of them on, and no others touched", async () => {
    const modes = "\\033[?1049h\\033[?2004h\\033[?1000h\\033[?1006h\\033[?1004h\\033[?1004l\\033[>1u\\033[?25l";
    const inner = `printf ${quoted(modes)}; kill -9 $$`;
    const command = [process.execPath, superviseScript, "sh", "-c", inner].map(quoted).join(" ");
    const outer = await openOuter(findProgram("sh") ?? "", ["-c", `${command}; echo "status $?"; stty -a`]);
    await outer.ended();
    const after = outer.text().split("\x1b[?25l")[1] ?? "";
    for (const undone of ["\x1b[<1u", "\x1b[?2004l", "\x1b[?1000l", "\x1b[?1006l", "\x1b[?25h", "\x1b[?1049l"])
      expect(after).toContain(undone);
    expect(after).not.toContain("1004");
    expect(after).toContain("status 137");
    expect(after).toMatch(/[^-]icanon/);
    expect(after).toMatch(/[^-]echo /);
    expect(after).toMatch(/[^-]opost/);
  });

  it("whose supervisor is killed with kill -9 leaves none of its modes on either", async () => {
    const modes = "\\033[?1049h\\033[?2004h\\033[?1006h\\033[>1u\\033[?25l";
    const inner = `printf ${quoted(modes)}; sleep 0.3; kill -9 $PPID; exec sleep 5`;
    const command = [process.execPath, superviseScript, "sh", "-c", inner].map(quoted).join(" ");
    const outer = await openOuter(findProgram("sh") ?? "", ["-c", `${command}; echo "status $?"; read -r line`]);
    await outer.shows("status 137");
    const off = "\x1b[<1u\x1b[?2004l\x1b[?1006l\x1b[?25h\x1b[?1049l\x1b[0m";
    await until(() => outer.text().includes(off), "the modes to be off");
    outer.write("\n");
    await outer.ended();
    expect(outer.text().split(off)).toHaveLength(2);
  });

  it("that ends by itself has nothing added to its output", async () => {
    const outer = await supervised(["sh", "-c", "stty -opost; printf '\\033[?25lhidden on purpose'"]);
    await outer.ended();
    expect(outer.text()).toBe("\x1b[?25lhidden on purpose");
  });

  it("leaves the terminal as it was even if we fall over", async () => {
    const command = [process.execPath, superviseScript, "sh", "-c", "printf '\\033[?2004h'; sleep 30"];
    const outer = await openOuter(findProgram("sh") ?? "", ["-c", `${command.map(quoted).join(" ")} 2>&1; stty -a`], {
      THROW: "1",
    });
    await outer.ended();
    expect(outer.text()).toContain("thrown on purpose");
    expect(outer.text()).toContain("\x1b[?2004l");
    expect(outer.text()).toMatch(/[^-]icanon/);
  });

  it("is made to draw by a nudge, and then has its size back", async () => {
    const outer = await supervised(["sh", "-c", "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done"]);
    await outer.shows("ready");
    process.kill(outer.pid, "SIGUSR2");
    await outer.shows("23 80\r\n24 80\r\n");
  });

  it("is shown a notice between its frames only", async () => {
    const outer = await supervised(["sh", "-c", "sleep 0.3; echo done"], { TELL: "\x1b]9;mail\x07" });
    await outer.ended();
    expect(outer.text()).toBe("\x1b]9;mail\x07done\r\n");
  });
});

/** The supervisor as a job of an interactive shell, over the program that suspends itself. */
async function asJob(HOW: string, HOLD = "") {
  const env = { HOW, HOLD, PS1: "shell> " };
  const outer = await openOuter(findProgram("bash") ?? "", ["--norc", "--noprofile", "-i"], env);
  await outer.shows("shell> ");
  outer.write(`node ${superviseScript} node ${suspends}\r`);
  await outer.shows("READY");
  return outer;
}

describe.skipIf(findProgram("bash") === undefined)("Ctrl-Z", () => {
  const cases = [
    ["that sends itself SIGTSTP", "", "\x1a"],
    ["that sends itself SIGSTOP", "stop", "\x1a"],
    ["that is late in stopping itself", "late", "\x1a"],
    ["that gets it in the kitty keyboard protocol", "", "\x1b[122;5u"],
    ["that gets it as xterm's modifyOtherKeys writes it", "", "\x1b[27;5;122~"],
  ] as const;
  it.each(cases)("gives the shell back, and fg the program, for a program %s", async (_, HOW, key) => {
    const { path } = tempHome();
    const outer = await asJob(HOW);
    outer.write(key);
    await outer.shows(/Stopped.*shell> /s);
    outer.write(`stty -a > ${path("stty")}; touch ${path("written")}\r`);
    await until(() => existsSync(path("written")), "the shell to be usable");
    expect(readFileSync(path("stty"), "utf8")).toMatch(/[^-]isig/);
    const from = outer.text().length;
    outer.write("fg\r");
    await outer.shows("BACK", from);
    outer.write("x");
    await outer.shows("got 78", from);
    outer.write("q");
    await outer.shows("shell> ", outer.text().length - 1);
    outer.write("echo status $?\r");
    await outer.shows("status 3", from);
  });

  it("gives it back also if the key was held back until long after it was pressed", async () => {
    const outer = await asJob("", "1500");
    outer.write("\x1a");
    await outer.shows(/Stopped.*shell> /s);
    const from = outer.text().length;
    outer.write("fg\r");
    await outer.shows("BACK", from);
    outer.write("q");
    await outer.shows("shell> ", outer.text().length - 1);
  });
});

describe.skipIf(findProgram("bash") === undefined)("SIGTSTP to the supervisor alone", () => {
  it.each(["", "deaf"])("suspends the program too, and fg brings both back (HOW=%j)", async (HOW) => {
    const outer = await asJob(HOW);
    const [supervisor = 0] = descendants(outer.pid);
    process.kill(supervisor, "SIGTSTP");
    await outer.shows(/Stopped.*shell> /s);
    const from = outer.text().length;
    outer.write("fg\r");
    await until(() => !isStopped(supervisor), "the supervisor to go on");
    outer.write("x");
    await outer.shows("got 78", from);
    outer.write("q");
    await outer.shows("shell> ", outer.text().length - 1);
  });
});

describe("without a terminal", () => {
  it("the program inherits the streams and gives its status on", async () => {
    const home = tempHome();
    const child = home.start(process.execPath, [superviseScript, "--plain", "sh", "-c", "cat; exit 9"]);
    const out: Buffer[] = [];
    child.stdout?.on("data", (chunk) => out.push(chunk));
    child.stdin?.end("through the pipe");
    await until(() => child.exitCode !== null, "the end");
    expect(child.exitCode).toBe(9);
    expect(Buffer.concat(out).toString()).toBe("through the pipe");
  });

  it("signals reach it, and one that kills it is 128 + its number", async () => {
    const home = tempHome();
    const child = home.start(process.execPath, [superviseScript, "--plain", "sh", "-c", "echo up; exec sleep 30"]);
    let out = "";
    child.stdout?.on("data", (chunk) => {
      out += chunk;
    });
    await until(() => out.includes("up"), "the start");
    child.kill("SIGTERM");
    await until(() => child.exitCode !== null, "the end");
    expect(child.exitCode).toBe(143);
  });
});
