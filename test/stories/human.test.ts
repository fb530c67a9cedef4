// The human takes part: mail for `you` is told by the terminal of a supervised session, once, and answered from a shell.

import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { openPty } from "../../src/terminal/pty.ts";
import { kill } from "../real/processes.ts";
import { cli, tempHome, until } from "../temp-home.ts";
import { peerFiles } from "./stage.ts";

const fakeClaude = fileURLToPath(new URL("../../fixtures/fake-claude.mjs", import.meta.url));

it("mail for `you` rings the terminal of one of two supervised sessions, once", async () => {
  const home = tempHome();
  const env = { ...home.env, TERM: "xterm-256color", CLAUDEMESH_CLAUDE_BIN: fakeClaude };
  let output = "";
  for (const name of ["web", "api"]) {
    const cwd = home.folder(name);
    const pty = await openPty({ file: process.execPath, args: [cli], env, cwd }, { cols: 100, rows: 30 });
    const gone = new Promise<void>((resolve) => pty.onExit(() => resolve()));
    pty.onData((chunk) => {
      output += chunk.toString();
    });
    onTestFinished(async () => {
      kill(pty.pid, "SIGTERM");
      await gone;
    });
  }
  await until(() => peerFiles(home).length === 2, "both sessions to be on the mesh");
  // A supervisor looks after `you` once it has found its own session.
  await until(() => readdirSync(home.path(".claudemesh", "inbox")).includes("you"), "somebody to look after `you`");

  const notice = "\x1b]9;claudemesh ✉ you: the build is green\x07";
  expect((await home.run(["send", "you", "the build is green"])).code).toBe(0);
  await until(() => output.includes(notice), "the terminal to be rung");
  expect((await home.run(["send", "you", "and so is the other"])).code).toBe(0);
  await until(() => output.includes("\x1b]9;claudemesh ✉ you: and so is the other\x07"), "the second letter's notice");
  expect(output.split(notice)).toHaveLength(2);
  const mail = JSON.parse((await home.run(["inbox", "--json"])).stdout) as { body: string }[];
  expect(mail.map(({ body }) => body)).toEqual(["the build is green", "and so is the other"]);
});
