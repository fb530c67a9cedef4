// The four bells, each with the others switched off.

import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { type ClientVersion, versions } from "../real/client.ts";
import { newestText, timesShown } from "../real/shown.ts";
import { type Mode, type Stage, stage } from "./stage.ts";

const LETTERS = 3;
/** Milliseconds from the sending of a letter to the model's request that shows it, by bell and version. */
const took = new Map<string, number[]>();

/** Sends letters to the idle session and sees each shown once, marked, and the session idle again. */
async function wakes(set: Stage, bell: string, key: string): Promise<void> {
  const { session, send, shown, receiptIs, row, api, home } = set;
  const node = home.path("noted-node");
  const started = home.path("started");
  writeFileSync(node, `#!/bin/sh\necho "$*" >>'${started}'\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 });
  const mate = await session("api", { env: { CLAUDEMESH_NODE: node } });
  await mate.waitFor(async () => (await row("api"))?.bell === bell, `status to name ${bell}`);
  let last = 0;
  for (let n = 1; n <= LETTERS; n++) {
    // Posts keep a pace of one a second: each letter here is to be the first.
    await mate.waitFor(() => Date.now() - last > 1100, "the pace to be over");
    const text = `letter ${n} rung by one bell`;
    const sent = await send("api", text);
    expect(sent.to[0]?.recipient).toMatch(new RegExp(`^idle, (woken|being woken) by ${bell}$`));
    expect(await shown(text)).toBe(1);
    await receiptIs(sent.message_id, "seen");
    await mate.waitStatus("idle");
    expect(timesShown(api, text)).toBe(1);
    last = Date.now();
    const request = api.turns(mate.id()).find((turn) => newestText(turn).includes(text));
    const [, sec = "", usec = ""] = /<(\d+)\.M(\d+)/.exec(sent.message_id) ?? [];
    // What has been posted or typed whole, the script marks by itself; it would be seen here if it left that to Node.
    const hooks = readFileSync(started, "utf8");
    expect(hooks).toContain("hook SessionStart");
    if (bell === "watcher") expect(hooks).toContain("hook UserPromptSubmit");
    else expect(hooks).not.toContain("hook UserPromptSubmit");
    took.set(key, [...(took.get(key) ?? []), (request?.at ?? Number.NaN) - (Number(sec) * 1000 + Number(usec) / 1000)]);
  }
}

const alone: { bell: string; version: ClientVersion; mode: Mode }[] = [
  { bell: "inbox", version: "2.1.332", mode: "bare" },
  { bell: "watcher", version: "2.1.332", mode: "bare" },
  { bell: "watcher", version: "2.1.197", mode: "bare" },
  { bell: "supervisor", version: "2.1.332", mode: "supervised" },
  { bell: "supervisor", version: "2.1.197", mode: "supervised" },
];

/** The README's table of bells: each time in it is the median of a run of this file, written by `npm run wakes`. */
afterAll(() => {
  const readme = new URL("../../README.md", import.meta.url);
  const text = readFileSync(readme, "utf8");
  const filled = text.replace(/^\| \*\*(\w+)\*\* \|.*$/gm, (line, bell: string) => {
    const cells = line.split("|").slice(1, -3);
    const times = versions.map((version) => {
      const median = took.get(`${bell} ${version}`)?.toSorted((a, b) => a - b)[Math.floor(LETTERS / 2)];
      return median === undefined ? " – " : ` ${(median / 1000).toFixed(2)} s `;
    });
    const row = `|${[...cells, ...times].join("|")}|`;
    console.log(row);
    return row;
  });
  if (process.env.CLAUDEMESH_WRITE_TABLE && took.size === alone.length) writeFileSync(readme, filled);
});

describe("one bell alone wakes an idle session", () => {
  it.each(alone)("$bell, $version, $mode", async ({ bell, version, mode }) => {
    await wakes(await stage(version, mode, { config: { bells: [bell] } }), bell, `${bell} ${version}`);
  });
});

describe.each(versions)("with hooks alone, %s", (version) => {
  it("shows mail with the next prompt, and at the end of a turn", async () => {
    const { session, send, shown, receipt, receiptIs, api } = await stage(version, "bare", {
      config: { bells: ["hooks"] },
    });
    const mate = await session("api");
    const first = await send("api", "waits for a prompt");
    expect(first.to[0]).toMatchObject({ state: "queued", recipient: "idle, reads it with its next prompt" });
    expect((await receipt(first.message_id)).state).toBe("queued");
    const held = api.hold(mate.id());
    await mate.prompt("hello there");
    await held.arrived;
    expect(await shown("waits for a prompt")).toBe(1);
    await receiptIs(first.message_id, "collected");
    const second = await send("api", "waits for the end of the turn");
    expect(second.to[0]).toMatchObject({ state: "queued", recipient: expect.stringMatching(/^busy/) });
    held.release("first part");
    expect(await shown("waits for the end of the turn")).toBe(1);
    await receiptIs(first.message_id, "seen");
    await receiptIs(second.message_id, "seen");
    await mate.waitStatus("idle");
    expect(timesShown(api, "waits for a prompt")).toBe(1);
    expect(timesShown(api, "waits for the end of the turn")).toBe(1);
  });
});
