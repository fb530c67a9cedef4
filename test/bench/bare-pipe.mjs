// The least that a supervisor can be: node-pty, and a pipe both ways.

import { spawnSync } from "node:child_process";
import { spawn } from "node-pty";

spawnSync("stty", ["raw", "-echo"], { stdio: ["inherit", "ignore", "ignore"] });
const { columns: cols, rows } = process.stdout;
const pty = spawn(process.argv[2], [], { cols, rows, env: process.env, encoding: null });
pty.onData((chunk) => process.stdout.write(chunk));
process.stdin.on("data", (chunk) => pty.write(chunk));
process.on("SIGTERM", () => pty.kill());
pty.onExit(({ exitCode }) => process.exit(exitCode));
