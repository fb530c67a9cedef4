// The whole `claudemesh` in a real terminal, with a shell script in place of claude: what passes it is what would have
// been there without it.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { describe, expect, it } from "vitest";
import { ignore } from "../../src/errors.ts";
import { cli, tempHome, until } from "../temp-home.ts";
import { inPlaceOfClaude, openOuter, underMesh } from "./outer.ts";

const MB = 1 << 20;
const md5 = (bytes: Buffer) => createHash("md5").update(bytes).digest("hex");
const memory = (pid: number) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;

/** What a program says to a terminal, and what the terminal says to it then. */
const conversations: [what: string, said: string, answered: string][] = [
  ["24-bit colour", "\x1b[38;2;255;100;0m\x1b[48:2::1:2:3mtext\x1b[0m", "x"],
  [
    "mouse reports, old and new",
    "\x1b[?1000h\x1b[?1003h\x1b[?1006h\x1b[?1016h",
    "\x1b[<35;10;5M\x1b[<0;10;5m\x1b[M !!\x1b[M\xff\xff\xff",
  ],
  [
    "the kitty keyboard protocol",
    "\x1b[>31u\x1b[?u\x1b[=5;1u\x1b[<u",
    "\x1b[?31u\x1b[97;5:1u\x1b[97;5:3u\x1b[57441;2u\x1b[122;5u",
  ],
  ["focus reports", "\x1b[?1004h", "\x1b[I\x1b[O\x1b[I"],
  ["a bracketed paste with control characters in it", "\x1b[?2004h", "\x1b[200~a\r\n\x03\x1a\x00\x1b[31m\x1b[201~"],
  [
    "queries and answers",
    "\x1b[c\x1b[>q\x1b[6n\x1b]11;?\x07\x1b[?2026$p",
    "\x1b[?62;22c\x1bP>|xterm(390)\x1b\\\x1b[1;1R\x1b]11;rgb:0/0/0\x1b\\",
  ],
  [
    "titles, links, the clipboard, a picture",
    "\x1b]0;t\xc3\xa9\x07\x1b]8;;http://x\x1b\\l\x1b]8;;\x1b\\\x1b]52;c;eA==\x07\x1bPq#0~\x1b\\",
    "x",
  ],
  ["bytes that are no UTF-8, and NUL", "\xff\xfe\x80\xc3(\x00\x9b31m\x9d0;x\x9c", "\xff\xfe\x80\xc3(\x00\x9b"],
  ["flow control and end of file", "\x11\x13\x04", "\x11\x13\x04\x1c\x03\x1a"],
];

describe("a terminal with claudemesh in it", () => {
  it.each(conversations)("passes %s both ways byte for byte", async (_, said, answered) => {
    const home = tempHome();
    writeFileSync(home.path("said"), said, "latin1");
    const script = `stty raw -echo; cat '${home.path("said")}'; printf ready; head -c ${answered.length} >'${home.path("heard")}'; printf over`;
    const outer = await underMesh(home, script);
    await outer.shows("ready");
    outer.write(Buffer.from(answered, "latin1"));
    await outer.ended();
    expect(outer.output().toString("latin1")).toBe(`${said}readyover`);
    expect(readFileSync(home.path("heard"), "latin1")).toBe(answered);
  });

  it("keeps Node's warnings off the screen: they go to the log", async () => {
    const home = tempHome();
    const warns = "process.on('SIGUSR2', () => process.emitWarning('something leaks'))";
    const outer = await openOuter(
      process.execPath,
      [`--import=data:text/javascript,${encodeURIComponent(warns)}`, cli],
      {
        HOME: home.home,
        CLAUDEMESH_CLAUDE_BIN: inPlaceOfClaude(home, "stty raw -echo; printf ready; head -c 1; printf over"),
      },
    );
    await outer.shows("ready");
    process.kill(outer.pid, "SIGUSR2");
    const log = () => ignore(["ENOENT"], () => readFileSync(home.path(".claudemesh", "log"), "utf8")) ?? "";
    await until(() => log().includes("warning Warning something leaks"), "the log to tell");
    outer.write("x");
    await outer.ended();
    expect(outer.text()).toBe("readyxover");
  });

  it("passes output unchanged that comes a byte at a time, characters and sequences cut anywhere", async () => {
    const home = tempHome();
    const text = Buffer.from(
      "é 漢字 👩‍👩‍👧 \x1b[38;2;1;2;3m\x1b]8;;http://x\x1b\\y\x1b]8;;\x07\x1b[?2004h\x1b[?2004l\x1b[0m\r\n".repeat(5),
    );
    writeFileSync(home.path("text"), text);
    const byByte = "for (const byte of fs.readFileSync(process.argv[1])) fs.writeSync(1, Buffer.of(byte))";
    const outer = await underMesh(home, `stty raw -echo; node -e '${byByte}' '${home.path("text")}'`);
    expect((await outer.ended()).code).toBe(0);
    expect(outer.output()).toEqual(text);
  });

  it("passes a paste of 1 MB whole to a program that is slow to read it", async () => {
    const home = tempHome();
    const paste = Buffer.from(`\x1b[200~${"0123456789abcdé\n".repeat(MB / 17)}\x1b[201~`);
    const slow = `stty raw -echo; printf ready; head -c 1000 >'${home.path("heard")}'; printf half; sleep 0.3`;
    const outer = await underMesh(home, `${slow}; head -c ${paste.length - 1000} >>'${home.path("heard")}'; exit 6`);
    await outer.shows("ready");
    outer.write(paste);
    expect((await outer.ended()).code).toBe(6);
    expect(md5(readFileSync(home.path("heard")))).toBe(md5(paste));
  });

  it("may be as small as 1x1, as odd as 500x1 and of no size at all", async () => {
    const home = tempHome();
    const script = "trap 'stty size' WINCH; stty size; while :; do sleep 0.05; done";
    const outer = await underMesh(home, script, { cols: 1, rows: 1 });
    await outer.shows("1 1\r\n");
    outer.resize({ cols: 500, rows: 1 });
    await outer.shows("1 500\r\n");
    outer.resize({ cols: 2, rows: 300 });
    await outer.shows("300 2\r\n");
    // No size: a serial line, or a pipe through `script`; a program is told what it would assume.
    execFileSync("sh", ["-c", `stty rows 0 cols 0 </proc/${outer.pid}/fd/0`]);
    await outer.shows("24 80\r\n");
    process.kill(outer.pid, "SIGTERM");
    expect((await outer.ended()).code).toBe(143);
  });
});

describe("output", () => {
  const flood = (bytes: number) => `stty raw -echo; head -c ${bytes} /dev/zero; exit 3`;

  it("of 100 MB passes whole, in the memory that 10 MB take", async () => {
    const highest = async (bytes: number) => {
      const outer = await underMesh(tempHome(), flood(bytes));
      let most = 0;
      const timer = setInterval(() => {
        try {
          most = Math.max(most, memory(outer.pid));
        } catch {
          clearInterval(timer);
        }
      }, 20);
      expect(await outer.ended()).toEqual({ code: 3, signal: 0 });
      clearInterval(timer);
      expect(outer.output().length).toBe(bytes);
      return most;
    };
    const [ten, hundred] = [await highest(10 * MB), await highest(100 * MB)];
    expect(hundred - ten).toBeLessThan(32 * MB);
    process.stdout.write(
      `supervisor  ${(ten / MB).toFixed()} MB at 10 MB of output, ${(hundred / MB).toFixed()} MB at 100 MB\n`,
    );
  });

  it("that nobody reads is not piled up, and signals and keys still reach the program", async () => {
    const home = tempHome();
    const heard = home.path("heard");
    // Writes for ever in the background; itself it only listens.
    const script = `stty raw -echo; trap 'echo TERM >>${heard}; kill $!; exit 5' TERM
      yes abcdefghijklmnopqrstuvwxyz & printf ready; head -c 3 >>${heard}; while :; do sleep 0.05; done`;
    const outer = await underMesh(home, script);
    await outer.shows("ready");
    await until(() => outer.output().length > MB, "some output");
    outer.stalls();
    await standsStill(outer.pid);
    const before = memory(outer.pid);
    outer.write("key");
    await until(() => readFileSync(heard, "utf8").startsWith("key"), "the keys to arrive");
    process.kill(outer.pid, "SIGTERM");
    await until(() => readFileSync(heard, "utf8") === "keyTERM\n", "the signal to arrive");
    expect(memory(outer.pid) - before).toBeLessThan(16 * MB);
    outer.reads();
    expect((await outer.ended()).code).toBe(5);
  });

  it("that a program left behind when it ended all comes, however late it is read", async () => {
    const outer = await underMesh(tempHome(), `printf begin; ${flood(3 * MB)}`);
    await outer.shows("begin");
    outer.stalls();
    await new Promise((resolve) => setTimeout(resolve, 400));
    outer.reads();
    expect(await outer.ended()).toEqual({ code: 3, signal: 0 });
    expect(outer.output().length).toBe("begin".length + 3 * MB);
  });

  it("that nobody will ever read keeps us no longer than a signal", async () => {
    const home = tempHome();
    const outer = await underMesh(home, `echo $$ >'${home.path("pid")}'; printf begin; stty raw; exec yes`);
    await outer.shows("begin");
    outer.stalls();
    const pid = Number(readFileSync(home.path("pid"), "utf8"));
    await standsStill(outer.pid);
    process.kill(pid, "SIGKILL");
    await until(() => isGone(pid), "the program to be gone");
    // One that comes before we know of the program's end is still the program's.
    const isKilled = () =>
      isGone(outer.pid) || ignore(["ESRCH"], () => process.kill(outer.pid, "SIGTERM")) === undefined;
    await until(isKilled, "us to be gone");
    outer.reads();
    expect((await outer.ended()).signal).toBe(constants.signals.SIGTERM);
  });
});

/** Waits until a process writes nothing more. */
async function standsStill(pid: number): Promise<void> {
  let last = "";
  await until(() => {
    const before = last;
    last = /wchar: .*/.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.[0] ?? "";
    return last === before;
  }, "it to stop writing");
}

function isGone(pid: number): boolean {
  try {
    return /\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return true;
  }
}

describe("without a terminal on both sides", () => {
  const says = `printf '%s|' "$@"; [ -t 0 ] && printf in; [ -t 1 ] && printf out; printf '|'; cat; exit 9`;
  const cases: [what: string, line: string, from: string][] = [
    ["stdin", "printf 'a\\0\\377z' | CLAUDE -p --x 'two words'; echo \"=$?\"", "out|a\0\xffz=9"],
    ["stdout", "CLAUDE -p --x 'two words' </dev/tty >OUT; echo \"=$?\"; cat OUT", "=9\r\nARGSin|typed\r\n"],
    ["either", "printf 'a\\0\\377z' | CLAUDE -p --x 'two words' >OUT; echo \"=$?\"; cat OUT", "=9\r\nARGS|a\0\xffz"],
    ["any, stdin closed", "CLAUDE -p --x 'two words' <&- >OUT; echo \"=$?\"; cat OUT", "=9\r\nARGS|"],
  ];
  it.each(cases)(
    "claude has the very streams and words that we were given: no terminal on %s",
    async (_, line, expected) => {
      const home = tempHome();
      const command = line
        .replaceAll("CLAUDE", `'${process.execPath}' '${cli}'`)
        .replaceAll("OUT", `'${home.path("out")}'`);
      const env = { HOME: home.home, CLAUDEMESH_CLAUDE_BIN: inPlaceOfClaude(home, says) };
      const outer = await openOuter("/bin/sh", ["-c", command], env);
      if (expected.includes("typed")) outer.write("typed\r\x04");
      await outer.ended();
      const shown = outer.output().toString("latin1");
      for (const part of expected.split("ARGS")) expect(shown).toContain(part);
      expect(shown).toContain("-p|--x|two words|");
    },
  );
});
