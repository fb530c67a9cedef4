import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { MeshError } from "../../src/errors.ts";
import { findProgram } from "../../src/program.ts";
import { openPty } from "../../src/terminal/pty.ts";
import { tempHome, until } from "../temp-home.ts";

const program = { args: ["-c", "exit 0"], env: {}, cwd: "/" };

describe("a terminal", () => {
  it("gives bytes as they are, and the program's end", async () => {
    const file = findProgram("sh") ?? "";
    const pty = await openPty(
      { ...program, file, args: ["-c", "stty raw; printf '\\377\\n'; exit 4"] },
      { cols: 9, rows: 9 },
    );
    const chunks: Buffer[] = [];
    let ending: unknown;
    pty.onData((chunk) => chunks.push(chunk));
    pty.onExit((how) => {
      ending = how;
    });
    await until(() => ending, "the end");
    expect(ending).toEqual({ code: 4, signal: 0 });
    expect(Buffer.concat(chunks)).toEqual(Buffer.from([0xff, 0x0a]));
    expect(() => pty.resize({ cols: 10, rows: 10 })).not.toThrow();
  });

  it("takes cat's input to cat's output", async () => {
    const pty = await openPty({ ...program, file: findProgram("cat") ?? "", args: [] }, { cols: 80, rows: 24 });
    let out = "";
    let ended = false;
    pty.onData((chunk) => {
      out += chunk;
    });
    pty.onExit(() => {
      ended = true;
    });
    pty.write("hello\r");
    await until(() => out === "hello\r\nhello\r\n", "the echo and the answer");
    pty.write("\x04");
    await until(() => ended, "the end");
  });

  it("gives all that a program wrote just before its end", async () => {
    for (let round = 0; round < 20; round++) {
      const args = ["-c", "stty raw; head -c 300000 /dev/zero"];
      const pty = await openPty(
        { file: findProgram("sh") ?? "", args, env: process.env, cwd: "/" },
        { cols: 80, rows: 24 },
      );
      let length = 0;
      let ended = false;
      pty.onData((chunk) => {
        length += chunk.length;
      });
      pty.onExit(() => {
        ended = true;
      });
      await until(() => ended, "the end");
      expect(length).toBe(300_000);
    }
  });

  it("without node-pty is an error that says what to do", async () => {
    const missing = () => Promise.reject(new Error("Cannot find package 'node-pty'\nmore"));
    const opening = openPty({ ...program, file: "/bin/sh" }, { cols: 80, rows: 24 }, missing);
    await expect(opening).rejects.toBeInstanceOf(MeshError);
    await expect(opening).rejects.toMatchObject({
      code: "NO_PTY",
      message: "can't open a terminal: node-pty does not load (Cannot find package 'node-pty')",
      hint: expect.stringContaining("--include=optional"),
    });
  });
});

describe("a program on the PATH", () => {
  it("is the first executable file of that name", () => {
    const { path } = tempHome();
    for (const dir of ["a/claude", "b", "c", "d"]) mkdirSync(path(dir), { recursive: true });
    for (const [dir, mode] of [
      ["b", 0o644],
      ["c", 0o755],
      ["d", 0o755],
    ] as const) {
      writeFileSync(path(dir, "claude"), "#!/bin/sh\n");
      chmodSync(path(dir, "claude"), mode);
    }
    const PATH = [path("none"), path("a"), path("b"), path("c"), path("d")].join(":");
    expect(findProgram("claude", PATH)).toBe(path("c", "claude"));
    expect(findProgram("codex", PATH)).toBeUndefined();
    expect(findProgram("claude", "")).toBeUndefined();
  });

  it("may be a link, and a name with a slash is that file", () => {
    const { path } = tempHome();
    mkdirSync(path("bin"));
    symlinkSync("/bin/sh", path("bin", "claude"));
    expect(findProgram("claude", path("bin"))).toBe(path("bin", "claude"));
    expect(findProgram(path("bin", "claude"), "")).toBe(path("bin", "claude"));
    expect(findProgram(path("bin", "none"), path("bin"))).toBeUndefined();
  });
});
