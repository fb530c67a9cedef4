// The typist's matrix on the real Claude Code, second half: what is typed arrives whole and once, and what comes between
// the paste and its Enter keeps the Enter from being pressed.

import { readFileSync } from "node:fs";
import { afterAll, expect, it } from "vitest";
import { newestText, timesShown } from "../real/shown.ts";
import { both, printTable, TYPED, typingAlone, type Watched, WITHDRAWN, watched } from "./matrix.ts";

afterAll(printTable);

const CTRL_U = "\x15";

it("types whole into vim's two modes", async () => {
  await both(async (version) => {
    const stage = await typingAlone(version, { editorMode: "vim" });
    const { mate, mark, own, comes, isClean, say } = await watched(version, stage);
    for (const [mode, key] of [
      ["normal", "\x1b"],
      ["insert", "i"],
    ] as const) {
      await isClean();
      mate.type(key);
      await mate.waitFor(() => mate.screen().includes("-- INSERT --") === (mode === "insert"), `${mode} mode`);
      const from = mark();
      const text = `dd :q! jjj 3x, sent in ${mode} mode`;
      const { message_id } = await stage.send("api", text);
      await comes(message_id, text);
      expect(own(from)).toMatch(TYPED);
      say(`vim, ${mode} mode`, `${own(from).length} bytes typed, shown once and whole by typing`);
    }
  });
});

async function resized({ mate, meanwhile, own, comes, say }: Watched) {
  const { id, text, from } = await meanwhile("a resize in the middle of a paste", () => mate.resize(100, 30));
  await comes(id, text);
  const [first = "", ...again] = own(from).split(/(?=\x1b\[200~)/);
  expect(first).toMatch(WITHDRAWN);
  expect(again.join("")).toMatch(TYPED);
  say("a resize in the middle of a paste", "no Enter, paste taken back; then shown once by typing");
}

async function disturbed({ mate, meanwhile, own, comes, lies, say, stage }: Watched) {
  const { id, text, from } = await meanwhile("a key between paste and Enter", () => mate.type("k"));
  await mate.waitFor(() => lies(id) === "new" && mate.draft() === "k", "the key to be all that is left");
  expect(own(from)).toMatch(WITHDRAWN);
  expect(timesShown(stage.api, text)).toBe(0);
  mate.type(CTRL_U);
  await comes(id, text);
  say("a user who types between the two", "no Enter, only the user's key left; then shown once by typing");
}

async function large({ mate, mark, own, comes, isClean, say, stage }: Watched) {
  await isClean();
  const from = mark();
  const body = `the first line of 200 KB\n${"0123456789 abcdef\n".repeat(200 * 64)}the last line of it`;
  expect(body.length).toBeGreaterThan(200 * 1024);
  const sent = await stage.home.run(["send", "--json", "api", "-"], { input: body });
  expect(sent.code, sent.stderr).toBe(0);
  const { message_id } = JSON.parse(sent.stdout) as { message_id: string };
  await comes(message_id, "[the first line of 200 KB".slice(1));
  expect(own(from)).toMatch(TYPED);
  expect(own(from).length).toBeLessThan(200);
  const shown =
    stage.api
      .turns(mate.id())
      .map(newestText)
      .find((one) => one.includes(message_id)) ?? "";
  const file = /the whole text is the file (\S+)\]/.exec(shown)?.[1] ?? "";
  expect(readFileSync(file, "utf8")).toContain(body);
  say("a body of 200 KB", `${own(from).length} bytes typed, shown once: its beginning and its file`);
}

async function together({ mark, own, comes, isClean, say, stage }: Watched) {
  await isClean();
  const from = mark();
  const texts = ["one of two at the same instant", "two of two at the same instant"];
  const sent = await Promise.all(texts.map((text) => stage.send("api", text)));
  for (const [i, { message_id }] of sent.entries()) await comes(message_id, texts[i] ?? "");
  // In one prompt or in two, but never one inside the other.
  for (const prompt of own(from).split(/(?<=\r)/)) expect(prompt).toMatch(TYPED);
  say("two letters at the same instant", "each shown once by typing");
}

async function dies({ mate, meanwhile, own, lies, say, stage }: Watched, version: Parameters<typeof watched>[0]) {
  const session = mate.id();
  const { id, text, from } = await meanwhile("a claude that dies after the paste", () => {
    process.kill(Number(mate.claude()?.pid), "SIGKILL");
  });
  expect(await mate.exit()).toEqual({ code: 137, signal: 0 });
  // What it had drawn before it died may be read before its end is: then there is an Enter, in a terminal that nobody has.
  expect(own(from).replace(/\r$/, "")).toMatch(WITHDRAWN);
  expect(lies(id)).toBe("new");
  expect(timesShown(stage.api, text)).toBe(0);
  const next = await watched(version, stage, { args: ["--resume", session] });
  await next.comes(id, text);
  await next.isClean();
  expect(next.own()).toMatch(TYPED);
  say("a claude that dies after the paste", "unread, in new/; shown once by typing after --resume");
}

it("presses no Enter when something comes between, and loses nothing", async () => {
  await both(async (version) => {
    const session = await watched(version, await typingAlone(version));
    await resized(session);
    await disturbed(session);
    await large(session);
    await together(session);
    await session.isClean();
    await dies(session, version);
  });
}, 240_000);
