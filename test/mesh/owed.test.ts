// What a session owes: told once, settled by the answer, bounced once when no answer can come any more.

import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { joinMesh, leave, noticeDeaths } from "../../src/mesh/join.ts";
import { curPath } from "../../src/mesh/maildir.ts";
import { messageIdOf } from "../../src/mesh/message.ts";
import { bounceOwed, markSeen, remindOf, settleAnswer } from "../../src/mesh/owed.ts";
import { type Letter, peek, take } from "../../src/mesh/receive.ts";
import { reply } from "../../src/mesh/reply.ts";
import { box, inNode, letter, sleeper, tempFolder, tempMesh } from "./temp-mesh.ts";

const all = () => true;
const WEB = { id: "web", name: "web", host: "laptop" };
const YOU = { id: "you", name: "you", host: "laptop" };
const API = { id: "api", name: "api", host: "laptop" };
const question = (mailbox: string, body = "which port?", from = WEB) =>
  letter(mailbox, { body, kind: "question", from });
/** All that waits in the mailbox is shown. */
const shown = (id: string): Letter[] => {
  const letters = take(id, all);
  markSeen(id, letters);
  return letters;
};
const names = (letters: Letter[]) => letters.map((l) => l.unique);
const bounces = (id: string) => peek(id).letters.filter((l) => l.message.kind === "bounce");

/** Two mailboxes: web asks, api is asked. */
function two(): { home: string; web: string; api: string } {
  const home = tempMesh();
  return { home, web: box(home, "web"), api: box(home, "api") };
}

describe("a reminder", () => {
  it("comes once for each question that was shown, oldest first", () => {
    const { api } = two();
    const asked = [question(api, "one"), question(api, "two")];
    expect(remindOf("api")).toEqual([]);
    shown("api");
    const later = question(api, "three");
    expect(names(remindOf("api"))).toEqual(asked);
    expect(remindOf("api")).toEqual([]);
    shown("api");
    expect(names(remindOf("api"))).toEqual([later]);
    expect(remindOf("api")).toEqual([]);
  });

  it("comes once although many processes look at the same time", async () => {
    const { api } = two();
    const asked = Array.from({ length: 20 }, (_, i) => question(api, `q ${i}`));
    shown("api");
    const looks = `const { remindOf } = await mesh("owed"); done(remindOf("api").map((l) => l.unique));`;
    const told = await Promise.all([1, 2, 3, 4].map(() => inNode<string[]>(looks)));
    expect(told.flat().sort()).toEqual(asked);
  });

  it.each(["task", "note", "answer", "bounce"] as const)("never comes for a letter of kind %s", (kind) => {
    const { api } = two();
    letter(api, { kind });
    shown("api");
    expect(remindOf("api")).toEqual([]);
  });

  it("never comes for a question of nobody, nor to the human", () => {
    const { home, api } = two();
    const you = box(home, "you");
    const from = { id: "", name: "", host: "" };
    letter(api, { kind: "question", from });
    question(you);
    expect([shown("api").length, shown("you").length]).toEqual([1, 1]);
    expect([remindOf("api"), remindOf("you")]).toEqual([[], []]);
    expect(existsSync(join(you, "owed"))).toBe(false);
  });

  it("does not come for what was answered, be it after it was marked or before", () => {
    const { api } = two();
    const [first, second, third] = [question(api, "one", YOU), question(api, "two", YOU), question(api, "three", YOU)];
    const letters = take("api", all);
    reply(API, messageIdOf(first ?? ""), "1", true);
    markSeen("api", letters);
    reply(API, messageIdOf(second ?? ""), "2", true);
    expect(names(remindOf("api"))).toEqual([third]);
    expect(remindOf("api")).toEqual([]);
  });

  it("does not come for a letter that has been swept away, and then nothing is left of it", () => {
    const { api } = two();
    const asked = question(api);
    shown("api");
    rmSync(curPath(api, asked, "S"));
    expect(remindOf("api")).toEqual([]);
    expect(readdirSync(join(api, "owed"))).toEqual([]);
  });
});

describe("a bounce of what is owed", () => {
  it("comes once for each open question, in its thread, whether reminded or not", () => {
    const { api } = two();
    const reminded = question(api, "which port?");
    shown("api");
    remindOf("api");
    const fresh = question(api, "which host?");
    shown("api");
    bounceOwed("api", "api", "it ended without answering");
    bounceOwed("api", "api", "it ended without answering");
    const got = bounces("web");
    expect(got.map((l) => l.message.inReplyTo).sort()).toEqual([reminded, fresh].map(messageIdOf).sort());
    for (const { message } of got) {
      expect(message.body).toContain("it ended without answering");
      expect(message.body).toMatch(/which (port|host)\?/);
      expect(message.body).toContain("api");
    }
  });

  it("does not come for an unread question: that one waits for the session's return", () => {
    const { api } = two();
    const asked = question(api);
    bounceOwed("api", "api", "it ended");
    expect(bounces("web")).toEqual([]);
    expect(names(take("api", all))).toEqual([asked]);
  });

  it("does not come once the answer has been sent", () => {
    const { api } = two();
    const asked = question(api);
    shown("api");
    settleAnswer("api", asked);
    settleAnswer("api", asked);
    bounceOwed("api", "api", "it ended");
    expect(bounces("web")).toEqual([]);
  });

  it("comes to the human, and nobody bounces to who is forgotten", () => {
    const { home, api } = two();
    box(home, "you");
    const asked = question(api, "which port?", YOU);
    question(api, "which host?", { id: "f0rg0tte", name: "old", host: "laptop" });
    shown("api");
    bounceOwed("api", "api", "it ended");
    expect(bounces("you").map((l) => l.message.inReplyTo)).toEqual([messageIdOf(asked)]);
    expect(existsSync(join(home, "inbox/f0rg0tte"))).toBe(false);
  });
});

describe("a session that ends", () => {
  /** A registered session that has been shown a question, of web's unless told. */
  async function asked(by = WEB) {
    const home = tempMesh();
    box(home, by.id);
    const claude = sleeper();
    const peer = await joinMesh({ pid: claude.pid, cwd: tempFolder(), name: "api" });
    const unique = question(box(home, peer.id), "which port?", by);
    shown(peer.id);
    return { claude, peer, unique };
  }

  it("with a goodbye bounces what it owes, once", async () => {
    const { peer, unique } = await asked();
    await leave(peer.id, peer.pid);
    await leave(peer.id, peer.pid);
    await noticeDeaths();
    expect(bounces("web").map((l) => l.message.inReplyTo)).toEqual([messageIdOf(unique)]);
  });

  it("by kill -9 bounces when somebody looks, once, however many look", async () => {
    const { claude, unique } = await asked();
    await noticeDeaths();
    expect(bounces("web")).toEqual([]);
    await claude.kill();
    const looks = `const { noticeDeaths } = await mesh("join"); await noticeDeaths(); done(null);`;
    await Promise.all([noticeDeaths(), inNode(looks), inNode(looks), inNode(looks)]);
    expect(bounces("web").map((l) => l.message.inReplyTo)).toEqual([messageIdOf(unique)]);
  });

  it("and comes back is not reminded of what was bounced, but may still answer it", async () => {
    const { claude, peer, unique } = await asked(YOU);
    await claude.kill();
    await noticeDeaths();
    expect(bounces("you")).toHaveLength(1);
    expect(remindOf(peer.id)).toEqual([]);
    reply({ ...API, id: peer.id }, messageIdOf(unique), "8080", true);
    expect(peek("you").letters.map((l) => [l.message.kind, l.message.body])).toContainEqual(["answer", "8080"]);
    bounceOwed(peer.id, "api", "it ended");
    expect(bounces("you")).toHaveLength(1);
  });
});
