// A receipt says `seen` only of what is in the conversation. Looked at every 50 ms, on the disk, while turns are taken
// back, blocked, ended and killed; and each letter is shown once in the conversation that is kept.

import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { anyVersion, everyVersion } from "../real/client.ts";
import type { ApiRequest, FakeApi } from "../real/fake-api.ts";
import { kill } from "../real/processes.ts";
import { until } from "../temp-home.ts";
import { type Actor, fileOf, type Stage, stage } from "./stage.ts";

/** How often the conversation of this request holds the text. */
const times = (request: ApiRequest | undefined, text: string) =>
  JSON.stringify(request?.body.messages ?? []).split(text).length - 1;
const holds = (request: ApiRequest | undefined, text: string) => times(request, text) > 0;

/** The answered turn in which the conversation, as it was at last, holds the text; undefined: in none. */
const keptIn = (api: FakeApi, text: string, session: string) =>
  api.turns(session).find((turn) => turn.outcome === "answered" && holds(turn, text));

/** Looks every 50 ms whether the letter is called seen; `early` throws if it was before it could be. */
function watched(id: string, box: string) {
  const seen = () => readdirSync(join(box, "cur")).some((name) => name.startsWith(fileOf(id)) && /:2,\w*S/.test(name));
  let wasSeen = false;
  const timer = setInterval(() => {
    wasSeen ||= seen();
  }, 50);
  onTestFinished(() => clearInterval(timer));
  return {
    notYet: () => expect(wasSeen || seen(), "called seen before it was").toBe(false),
    seen: () => until(seen, `${id} to be seen`, 15_000),
  };
}

const boxOf = async (set: Stage, name: string) =>
  set.home.path(".claudemesh", "inbox", (await set.row(name))?.id ?? "");
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A note waits for the session `api`, and goes to the model with a prompt that is not answered. */
async function noteWith(words: string, mate: Actor, set: Stage, note: string) {
  const { message_id } = await set.send("api", note, "--note");
  const look = watched(message_id, await boxOf(set, "api"));
  const held = set.api.hold(mate.id());
  await mate.prompt(words);
  expect(holds(await held.arrived, note)).toBe(true);
  return { message_id, look };
}

/** Takes the turn back: Esc before the model's first word, once the prompt hook's output is with the client. */
async function takenBack(mate: Actor): Promise<void> {
  mate.key("escape");
  await mate.waitStatus("idle");
}

/** Every version once; how soon Esc comes makes no difference between them. */
const escapes = [
  ...everyVersion.map((version) => ({ version, ms: 600 })),
  ...anyVersion.flatMap((version) => [150, 2000].map((ms) => ({ version, ms }))),
];

it.each(escapes)(
  "a note whose prompt Esc takes back after $ms ms comes with the next, with $version",
  { timeout: 90_000 },
  async ({ version, ms }) => {
    const set = await stage(version, "bare");
    const mate = await set.session("api");
    const { message_id, look } = await noteWith("words with a typo", mate, set, "a note for the prompt");
    await pause(ms);
    await takenBack(mate);
    await mate.waitFor(() => mate.draft() === "wordswithatypo", "the prompt to come back into the box");
    look.notYet();
    expect(await set.receipt(message_id)).toMatchObject({ state: expect.stringMatching(/^(queued|collected)$/) });
    mate.key("ctrl-u");
    const turn = await mate.ask("words without one [[say:fine]]");
    expect(holds(turn, "a note for the prompt")).toBe(true);
    expect(holds(turn, "words with a typo")).toBe(false);
    await look.seen();
    await mate.ask("and again [[say:fine]]");
    expect(times(set.api.turns(mate.id()).at(-1), "a note for the prompt")).toBe(1);
  },
);

describe.each(everyVersion)("with %s", { timeout: 90_000 }, (version) => {
  it("a note whose prompt another hook blocks comes with the next, and is not called seen before", async () => {
    const blocked = '[ -e ~/block ] || exit 0; sleep 0.2; echo \'{"decision":"block","reason":"not now"}\'';
    const hooks = { UserPromptSubmit: [{ hooks: [{ type: "command", command: blocked }] }] };
    const set = await stage(version, "bare", { settings: { hooks } });
    const mate = await set.session("api");
    writeFileSync(set.home.path("block"), "");
    const { message_id } = await set.send("api", "a note that is blocked", "--note");
    const look = watched(message_id, await boxOf(set, "api"));
    mate.paste("blocked words");
    await mate.waitFor(() => mate.draft() === "blockedwords", "the paste");
    mate.key("enter");
    await mate.waitScreen(/not now/);
    look.notYet();
    rmSync(set.home.path("block"));
    await mate.waitStatus("idle");
    mate.key("ctrl-u");
    const turn = await mate.ask("words that go [[say:fine]]");
    expect(holds(turn, "a note that is blocked")).toBe(true);
    await look.seen();
  });

  it.each([
    ["a draft stands in the box", false],
    ["another prompt is queued", true],
  ])("Esc before the first word keeps a note where %s", async (_, isQueued) => {
    const set = await stage(version, "bare");
    const mate = await set.session("api");
    const { look } = await noteWith("the first words", mate, set, "a note that stays");
    mate.paste("more words [[say:fine]]");
    await mate.waitFor(() => mate.draft() === "morewords[[say:fine]]", "the draft");
    if (isQueued) {
      mate.key("enter");
      await mate.waitFor(() => mate.draft() !== "morewords[[say:fine]]", "the prompt to be queued");
    }
    look.notYet();
    mate.key("escape");
    await mate.waitScreen(/Interrupted/);
    await look.seen();
    if (!isQueued) mate.key("enter");
    const turn = await mate.waitFor(() => keptIn(set.api, "more words", mate.id()), "the next turn");
    expect(times(turn, "a note that stays")).toBe(1);
  });

  it("a letter that was typed and is taken back is a draft, not seen; entered again it is shown once", async () => {
    const set = await stage(version, "supervised", { config: { bells: ["supervisor", "hooks"] } });
    const mate = await set.session("api");
    const held = set.api.hold(mate.id());
    const { message_id } = await set.send("api", "a typed letter");
    const look = watched(message_id, await boxOf(set, "api"));
    await held.arrived;
    await pause(300);
    await takenBack(mate);
    await mate.waitFor(() => mate.draft()?.includes("atypedletter"), "the letter to come back as a draft");
    await pause(4000);
    look.notYet();
    expect(set.api.turns(mate.id())).toHaveLength(1);
    mate.key("enter");
    await mate.waitFor(() => keptIn(set.api, "a typed letter", mate.id()), "the letter's turn");
    await look.seen();
    await mate.waitStatus("idle");
    await mate.ask("anything else? [[say:no]]");
    expect(times(set.api.turns(mate.id()).at(-1), "> a typed letter")).toBe(1);
  });

  it("a letter whose turn dies with claude before the first word is in the conversation that is resumed, once", async () => {
    const set = await stage(version, "bare");
    const mate = await set.session("api");
    await mate.ask("begin [[say:begun]]");
    const { look } = await noteWith("the last words", mate, set, "a note for the one that dies");
    await pause(500);
    const id = mate.id();
    kill(mate.claude()?.pid ?? 0, "SIGKILL");
    await mate.exit();
    look.notYet();
    const again = await set.session("api", { args: ["--resume", id] });
    await again.ask("where were we? [[say:here]]");
    await look.seen();
    await again.ask("and on [[say:on]]");
    expect(times(set.api.turns(id).at(-1), "a note for the one that dies")).toBe(1);
  });

  it.each(["/clear", "/compact"])(
    "a note whose prompt is taken back comes with the first one after %s",
    async (command) => {
      const set = await stage(version, "bare");
      const mate = await set.session("api");
      for (const word of ["one", "two", "three"]) await mate.ask(`${word} [[say:${word}]]`);
      const first = mate.id();
      const { look } = await noteWith("words to forget", mate, set, "a note for later");
      await takenBack(mate);
      await mate.waitFor(() => mate.draft() === "wordstoforget", "the prompt to come back into the box");
      mate.key("ctrl-u");
      await mate.command(command);
      if (command === "/clear") await mate.waitFor(() => mate.id() !== first, "a new session id");
      else await mate.waitScreen(/Compacted|compacted/);
      await mate.ready();
      look.notYet();
      const turn = await mate.ask("words to keep [[say:kept]]");
      expect(times(turn, "a note for later")).toBe(1);
      await look.seen();
      await mate.ask("and again [[say:fine]]");
      expect(times(set.api.turns(mate.id()).at(-1), "a note for later")).toBe(1);
    },
  );

  it("a note whose turn is rewound stays seen, is not shown again, and can be looked up", async () => {
    const set = await stage(version, "bare");
    const mate = await set.session("api");
    await mate.ask("begin [[say:begun]]");
    const { message_id } = await set.send("api", "a note that is rewound", "--note");
    expect(holds(await mate.ask("words to undo [[say:done]]"), "a note that is rewound")).toBe(true);
    await set.receiptIs(message_id, "seen");
    mate.key("escape");
    mate.key("escape");
    await mate.waitScreen(/Restore the code/);
    mate.key("up");
    await mate.waitScreen(/^ +❯ words to undo/m);
    mate.key("enter");
    await mate.waitScreen(/❯ 1\. Restore conversation/);
    mate.key("enter");
    await mate.waitFor(() => mate.draft()?.startsWith("wordstoundo"), "the prompt to come back into the box");
    mate.key("ctrl-u");
    const turn = await mate.ask("other words [[say:fine]]");
    expect(holds(turn, "words to undo") || holds(turn, "a note that is rewound")).toBe(false);
    expect((await set.receipt(message_id)).state).toBe("seen");
    expect((await set.verb("inbox", "api", "--peek", "--thread", message_id)).stdout).toContain(
      "a note that is rewound",
    );
  });

  it("where hooks are off no bell rings, and the sender is told at once", async () => {
    const set = await stage(version, "bare", { settings: { disableAllHooks: true } });
    const mate = await set.session("api");
    const sent = await set.send("api", "nobody would confirm this");
    expect(sent.to[0]).toMatchObject({
      state: "queued",
      recipient: expect.stringContaining("no hook of claudemesh runs in it"),
    });
    expect(await set.row("api")).toMatchObject({ bell: null, unread: 1 });
    await pause(5000);
    expect(set.api.turns(mate.id())).toHaveLength(0);
    const { code, stdout } = await set.verb("doctor", "--json");
    expect(code).toBe(1);
    expect(stdout).toContain("no hook of claudemesh has run in it");
  });
});
