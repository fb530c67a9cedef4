// A process that is claude to those who look for it above them: it writes its session file, runs one program as its
// child and lends it its own streams through pipes, which end when it does. With no program it just stays.
// CLAUDE_STAND_IN: the fields of the session file, as JSON. CLAUDE_STAND_IN_RUNNER: a socket, where a shell below it is
// told what else to start, and what the shell runs for that.

import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";

const sessions = join(process.env.CLAUDE_CONFIG_DIR ?? join(homedir(), ".claude"), "sessions");
const stat = readFileSync("/proc/self/stat", "utf8");
const procStart = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
const fields = { version: "2.1.329", status: "idle", ...JSON.parse(process.env.CLAUDE_STAND_IN ?? "{}") };
mkdirSync(sessions, { recursive: true });
writeFileSync(join(sessions, `${process.pid}.json`), JSON.stringify({ pid: process.pid, procStart, ...fields }));

const [socket, runner] = JSON.parse(process.env.CLAUDE_STAND_IN_RUNNER ?? "[]");
delete process.env.CLAUDE_STAND_IN_RUNNER;
if (socket)
  createServer((stream) => {
    const shell = spawn("/bin/bash", ["-c", runner], { stdio: [stream, stream, "ignore"] });
    shell.on("exit", () => stream.destroy());
  })
    .listen(socket)
    .unref();

const [program, ...args] = process.argv.slice(2);
if (program) {
  const child = spawn(program, args, { stdio: "pipe" });
  process.stdin.pipe(child.stdin);
  child.stdin.on("error", () => {});
  child.stdout.pipe(process.stdout);
  child.stderr.pipe(process.stderr);
  child.on("close", (code) => process.exit(code ?? 1));
} else setInterval(() => {}, 60_000);
