// The typist alone at the real Claude Code, both pinned versions: what the whole (test/typist) does not reach.

import { readFileSync, realpathSync, writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { judgeScreen, showsPasted } from "../../src/claude/screen.ts";
import { createKeyboard } from "../../src/terminal/keyboard.ts";
import { openPty } from "../../src/terminal/pty.ts";
import { createScreenModel, type Screen } from "../../src/terminal/screen-model.ts";
import { createTypist } from "../../src/terminal/typist.ts";
import { claudeBinary, clientEnv, seedHome, versions } from "../real/client.ts";
import { messageText } from "../real/conversation.ts";
import { startFakeApi } from "../real/fake-api.ts";
import { tempHome, until } from "../temp-home.ts";

let claude = "";

const mail = "claudemesh mail from web: rerun the migration check on the staging copy, and send me the failing tables";

async function start(settings: Record<string, unknown> = {}, cols = 100) {
  const home = tempHome();
  const cwd = realpathSync(home.folder("project"));
  writeFileSync(home.path("project", "alpha.txt"), "alpha\n");
  const api = await startFakeApi();
  onTestFinished(() => api.stop());
  seedHome(home.home, { trust: [cwd], settings });
  const size = { cols, rows: 30 };
  const pty = await openPty({ file: claude, args: [], env: clientEnv(home.home, api), cwd }, size);
  let ended = false;
  pty.onExit(() => {
    ended = true;
  });
  onTestFinished(async () => {
    if (!ended) process.kill(pty.pid, "SIGTERM");
    await until(() => ended, "claude to end");
  });
  const status = () => {
    try {
      return JSON.parse(readFileSync(home.path(".claude", "sessions", `${pty.pid}.json`), "utf8")).status as string;
    } catch {
      return undefined;
    }
  };
  const model = createScreenModel(size);
  const written: string[] = [];
  const session = { callsItClear: false };
  let skipped = 0;
  let now = size;
  const typist = createTypist<Screen>({
    write(data) {
      written.push(data.toString());
      pty.write(data);
    },
    screen: model.read,
    allClear: () => session.callsItClear || status() === "idle",
    judge: judgeScreen,
    showsPasted,
    nudge: async () => {
      pty.resize({ ...now, rows: now.rows - 1 });
      await pause(200);
      pty.resize(now);
      await pause(200);
    },
    keyboard: createKeyboard(() => performance.now() + skipped),
    // What is tested is where it types, not how quickly a busy machine draws.
    patience: 8000,
  });
  pty.onData((chunk) => {
    model.feed(chunk);
    typist.sawOutput();
  });
  const judged = async () => {
    const screen = await model.read();
    return screen && judgeScreen(screen);
  };
  const press = (keys: string) => {
    if (!typist.sawInput(Buffer.from(keys))) pty.write(keys);
  };
  const text = async () => (await model.read())?.rows.map((row) => row.text.replaceAll("\u00a0", " ")).join("\n") ?? "";
  await until(async () => status() === "idle" && (await judged()) === "empty prompt", "the prompt box", 20_000);
  /** What a busy machine draws only after the paste would be taken for a change, and the paste be withdrawn. */
  const stoodStill = async () => {
    for (let last = ""; last !== (await text()); ) {
      last = await text();
      await pause(500);
    }
  };
  /** Types as long as it is only not clear yet; the screen settles after a turn. */
  const typedAtLast = (what: string) =>
    until(async () => {
      const typed = await typist.type(what);
      return typed === "not clear" ? undefined : typed;
    }, "it to be clear");
  return Object.assign(session, {
    typist,
    /** Lets the typist believe that a long time has gone by without a key. */
    waitLong: () => {
      skipped += 60_000;
    },
    written,
    judged,
    press,
    status,
    hold: () => api.hold(),
    text,
    prompts: () =>
      api.turns().map(({ body }) =>
        body.messages
          .filter((m) => m.role === "user")
          .map(messageText)
          .join("\n"),
      ),
    /** What a busy machine draws only during the paste makes the typist withdraw: once it may, as the bell tries again, too. */
    type: async (what: string) => {
      await stoodStill();
      const typed = await typedAtLast(what);
      if (typed !== "withdrawn") return typed;
      await stoodStill();
      return typedAtLast(what);
    },
    resize(next: { cols: number; rows: number }) {
      now = next;
      model.resize(next);
      pty.resize(next);
    },
  });
}

describe.each(versions)("the typist at the real client %s", { timeout: 90_000 }, (version) => {
  beforeAll(async () => {
    claude = await claudeBinary(version);
  }, 600_000);

  it("submits at an empty box: a fresh one, after a turn, several lines, a long text", async () => {
    const { type, prompts, status, hold } = await start();
    for (const text of [
      mail,
      `second ${mail}`,
      "mail from web\nrerun the check\nsend the tables",
      "word ".repeat(300),
    ]) {
      // A turn that is seen to begin is known to have ended when it is idle again.
      const held = hold();
      expect(await type(text)).toBe("entered");
      await held.arrived;
      await until(() => status() === "busy", "the turn to begin");
      held.release("done");
      expect(prompts().at(-1)?.replace(/\s+/g, " ")).toContain(text.trim().replace(/\s+/g, " "));
      await until(() => status() === "idle", "the turn to end");
    }
  });

  it("submits in 40 columns, with a status line, and after a change of size", async () => {
    const narrow = await start(
      { statusLine: { type: "command", command: "printf '✉ 2 · 3 sessions\\nsecond row'" } },
      40,
    );
    await until(async () => (await narrow.text()).includes("second row"), "the status line");
    narrow.resize({ cols: 60, rows: 24 });
    await until(async () => (await narrow.text()).includes("─".repeat(60)), "the box in its new width");
    expect(await narrow.type(mail)).toBe("entered");
    await until(() => narrow.prompts().some((prompt) => prompt.includes(mail)), "the turn");
  });

  it("leaves a permission question alone, even if the caller thought it clear", async () => {
    const session = await start();
    const { typist, press, text, written, status, judged, waitLong } = session;
    press('\x1b[200~do [[tool:{"name":"Bash","input":{"command":"touch made","description":"make"}}]]\x1b[201~');
    await until(async () => (await judged()) === "draft", "the prompt");
    press("\r");
    await until(async () => status() === "waiting" && /1\. Yes/.test(await text()), "the question");
    waitLong();
    expect(await judged()).toBe("other");
    session.callsItClear = true;
    expect(await typist.type(mail)).toBe("not clear");
    expect(written).toEqual([]);
  });

  it("submits a text that ends in a file's name as it is, and no menu gets the Enter", async () => {
    const { type, prompts } = await start();
    expect(await type("please read @alph")).toBe("entered");
    await until(() => prompts().some((prompt) => /please read @alph(?!a)/.test(prompt)), "the turn");
  });
});
