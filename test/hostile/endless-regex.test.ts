// A regex that would backtrack for longer than a life, on a transcript as long as one gets: it ends, and says why.

import { mkdirSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { claudeServer } from "../claude/server.ts";
import { standIn } from "../claude/stand-in.ts";
import { type TempHome, tempHome } from "../temp-home.ts";

const ENDLESS = ["/(a+)+$/", "/^(\\w+\\s?)*$/", "/(a|aa)+$/m", "/(?:a*)*b(?=c)/"];
const SENTENCE = "it was not done with 2 MB after 3 s\na regex in which repetitions are nested";

/** A session named api whose one long line is what such a regex can't get through. */
async function withLongLine(home: TempHome): Promise<void> {
  const api = await standIn(home, "api");
  const line = (type: string, content: unknown) => `${JSON.stringify({ type, message: { role: type, content } })}\n`;
  const text = `needle ${"a".repeat(100_000)}!`;
  mkdirSync(home.path(".claude", "projects", "p"), { recursive: true });
  const path = home.path(".claude", "projects", "p", `${api.sessionId}.jsonl`);
  writeFileSync(path, line("user", "find it") + line("assistant", [{ type: "text", text }]));
}

describe("a regex without end", () => {
  it.each(ENDLESS)("%s is given up by `search`, with a sentence", async (query) => {
    const home = tempHome();
    await withLongLine(home);
    const { code, stdout, stderr } = await home.run(["search", "api", query]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(`claudemesh: can't search for ${query}: ${SENTENCE}`);
    expect(await home.run(["search", "api", "/needle a{5}/"])).toMatchObject({ code: 0 });
  });

  it("is given up by a session's mail server, which then goes on as before", async () => {
    const home = tempHome();
    await withLongLine(home);
    const server = await claudeServer(home, "web");
    const { isError, text } = await server.call("search_history", { id: "api", query: ENDLESS[0] });
    expect([isError, text]).toEqual([true, expect.stringContaining(SENTENCE)]);
    const found = await server.call("search_history", { id: "api", query: "/needle a{5}/" });
    expect(JSON.parse(found.text)).toMatchObject([{ match: "needle aaaaa" }]);
  });
});
