// The typist's matrix on the real Claude Code, first half: where a byte would do harm not one is typed, and the mail
// comes when the way is clear, or by the turn's own hooks.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import type { FakeApi } from "../real/fake-api.ts";
import type { Session } from "../real/session.ts";
import { both, type Case, printTable, typingAlone, watched } from "./matrix.ts";

afterAll(printTable);

const exists = ({ cwd }: Session, name: string) => existsSync(join(cwd, name));
const drafts = (mate: Session, text: string) => mate.waitFor(() => mate.draft() === text, `the draft to be ${text}`);
const isDraft = (text: string) => (mate: Session) => expect(mate.draft()).toBe(text);
const shows = (pattern: RegExp) => (mate: Session) => expect(mate.screen()).toMatch(pattern);
/** Keys that put something on the screen, and keys that take it away again. */
const keys = (typed: string, seen: RegExp, cleared: string): Case => ({
  async set(mate) {
    mate.type(typed);
    await mate.waitScreen(seen);
  },
  still: shows(seen),
  clear: (mate) => mate.type(cleared),
  by: "typing",
});
const CTRL_U = "\x15";
const BACKSPACE = "\x7f";

const asks = '[[tool:{"name":"Bash","input":{"command":"touch made","description":"make"}}]]';
const isAsking = (mate: Session) => {
  expect(mate.status()).toBe("waiting");
  expect(exists(mate, "made")).toBe(false);
};
const dialog = (open: (mate: Session) => Promise<unknown>): Case => ({
  async set(mate) {
    await open(mate);
    await mate.waitStatus("waiting");
  },
  does: "look",
  still: isAsking,
  async clear(mate) {
    // In /config the first one may only leave the search.
    for (let presses = 0; mate.status() === "waiting" && presses < 3; presses++) {
      mate.key("escape");
      await mate.waitFor(() => mate.status() === "idle", "the dialog to close", 700).catch(() => {});
    }
  },
  by: "typing",
});

/** The first of two keys that end claude: what asks for the second passes by itself in less than a second. */
const exiting = (key: "ctrl-c" | "ctrl-d"): Case => ({
  async set(mate) {
    mate.key(key);
    await mate.waitScreen(/again to exit/);
  },
  stands: (mate) => /again to exit/.test(mate.screen()),
  clear: (mate) => mate.waitFor(() => !/again to exit/.test(mate.screen()), "the confirmation to pass"),
  by: "typing",
});

/** A turn that goes on until the letter has been left alone. */
function running(api: FakeApi, start: (mate: Session) => Promise<unknown>, reply: string, by: Case["by"]): Case {
  let release = () => {};
  return {
    async set(mate) {
      const held = api.hold(mate.id());
      release = () => held.release(reply);
      await start(mate);
      await held.arrived;
    },
    does: "look",
    still: (mate) => expect(mate.status()).toBe("busy"),
    clear: () => release(),
    by,
  };
}

const cases = (api: FakeApi): [what: string, one: Case][] => [
  [
    "a half-typed draft, then sent",
    {
      async set(mate) {
        mate.type("half a thought");
        await drafts(mate, "halfathought");
      },
      still: isDraft("halfathought"),
      clear: (mate) => mate.key("enter"),
      by: "the prompt's hook",
    },
  ],
  [
    "a recalled draft",
    {
      async set(mate) {
        mate.key("up");
        await drafts(mate, "halfathought");
      },
      still: isDraft("halfathought"),
      clear: (mate) => mate.key("down"),
      by: "typing",
    },
  ],
  [
    "a pasted draft, then cut",
    {
      async set(mate) {
        mate.paste("a pasted thought");
        await drafts(mate, "apastedthought");
      },
      still: isDraft("apastedthought"),
      clear: (mate) => mate.type(CTRL_U),
      by: "typing",
    },
  ],
  [
    "a draft, then deleted again",
    {
      async set(mate) {
        mate.type("abc");
        await drafts(mate, "abc");
      },
      still: isDraft("abc"),
      clear: (mate) => mate.type(BACKSPACE.repeat(3)),
      by: "typing",
    },
  ],
  ["the slash menu", keys("/", /\/[\w-]+ {4,}\w/, CTRL_U)],
  ["the slash menu, narrowed down", keys("/mod", /\/model {4,}\w/, CTRL_U)],
  ["the @ picker", keys("@alph", /alpha\.txt/, CTRL_U)],
  ["shell mode", keys("!", /for shell mode/, BACKSPACE)],
  [
    "shell mode with a command",
    {
      ...keys("!touch made", /!.touch made[\s\S]*for shell mode/, BACKSPACE),
      async clear(mate) {
        mate.type(CTRL_U);
        await mate.waitFor(() => !mate.screen().includes("touch made"), "the command to be cut");
        mate.type(BACKSPACE);
      },
    },
  ],
  ["a permission dialog, then refused", dialog((mate) => mate.prompt(`make it ${asks}`))],
  ["the model picker", dialog((mate) => mate.command("/model"))],
  ["/config", dialog((mate) => mate.command("/config"))],
  ["the transcript view", keys("\x0f", /detailed transcript/, "\x0f")],
  ["the history search", keys("\x12", /Search prompts|search prompts|filter history/i, "\x1b")],
  ["a running turn", running(api, (mate) => mate.prompt("a long one"), "done", "the turn's hook")],
  ["compaction", running(api, (mate) => mate.command("/compact"), "<summary>much</summary>", "typing")],
  ["the exit confirmation of ctrl-c", exiting("ctrl-c")],
  ["the exit confirmation of ctrl-d", exiting("ctrl-d")],
];

it("types not one byte into a draft, a menu, a dialog, a view, a turn or a confirmation", async () => {
  await both(async (version) => {
    const stage = await typingAlone(version);
    writeFileSync(join(stage.home.folder("api"), "alpha.txt"), "alpha\n");
    const settings = readFileSync(stage.home.path(".claude", "settings.json"), "utf8");
    const { mate, leavesAlone } = await watched(version, stage);
    for (const [what, one] of cases(stage.api)) await leavesAlone(what, one);
    expect(exists(mate, "made")).toBe(false);
    expect(readFileSync(stage.home.path(".claude", "settings.json"), "utf8")).toBe(settings);
  });
}, 240_000);

it("types not one byte into the trust dialog", async () => {
  await both(async (version) => {
    const stage = await typingAlone(version);
    const session = await watched(version, stage, { folder: "unknown", ready: false });
    const { mate } = session;
    await mate.waitScreen(/trust/i);
    const { message_id } = await stage.send("unknown", "for one not yet trusted", "--queue");
    const from = session.mark();
    const looks = () =>
      session
        .notes()
        .slice(from)
        .filter(({ read }) => read === "peers").length;
    await mate.waitFor(() => looks() >= 3, "the supervisor to have looked for its session");
    expect(session.own()).toBe("");
    expect(mate.screen()).toMatch(/trust/i);
    await stage.receiptIs(message_id, "queued");
    if (!/❯ (1\. )?Yes/.test(mate.screen())) mate.key("down");
    await mate.waitScreen(/❯ (1\. |2\. )?Yes/);
    mate.key("enter");
    await mate.ready();
    await session.comes(message_id, "for one not yet trusted");
    session.say("the trust dialog", "0 bytes typed there, then shown once by typing");
  });
});

it("types not one byte into a claude suspended with Ctrl-Z, nor into the shell that it was suspended to", async () => {
  await both(async (version) => {
    const stage = await typingAlone(version);
    const session = await watched(version, stage, { job: true });
    const { mate, leavesAlone } = session;
    await leavesAlone("Ctrl-Z, then fg", {
      async set() {
        mate.key("ctrl-z");
        await mate.waitScreen(/Stopped/);
      },
      does: "nothing",
      still: shows(/Stopped/),
      clear: () => mate.type("fg\r"),
      by: "typing",
    });
    mate.type("/exit\r");
    await mate.waitScreen(/Resume this session[\s\S]*[$#]$/);
    mate.type("exit\r");
    await mate.exit();
  });
});
