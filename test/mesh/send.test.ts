import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { bellOf, collect, listNew, newPath } from "../../src/mesh/maildir.ts";
import { parse } from "../../src/mesh/message.ts";
import { type Order, send, settle } from "../../src/mesh/send.ts";
import { draft, tempMesh, thrownBy } from "./temp-mesh.ts";

const order = (ids: string[], fields: Partial<Order> = {}): Order => {
  const { id: _, ...rest } = draft();
  return { ...rest, ...fields, to: ids.map((id) => ({ id, name: `the ${id}`, host: "laptop" })) };
};

it("one letter to one: it lies in new/, says who and to whom, and the bell was rung", () => {
  const home = tempMesh({ open: false });
  const sent = send(order(["api"], { body: "words", kind: "question" }));
  const api = join(home, "inbox/api");
  expect(listNew(api)).toEqual([sent.unique]);
  expect(sent.message_id).toBe(`<${sent.unique}@claudemesh>`);
  expect(parse(readFileSync(newPath(api, sent.unique), "utf8"), "")).toMatchObject({
    id: sent.message_id,
    from: { name: "web", id: "a8d0m2kq" },
    to: "the api <api@laptop>",
    kind: "question",
    body: "words",
  });
  expect(readFileSync(bellOf(api), "utf8")).not.toBe("");
  expect(readFileSync(join(home, "log"), "utf8")).toMatch(/ send \S+ question from=a8d0m2kq to=api\n/);
  expect(readFileSync(join(home, "log"), "utf8")).not.toContain("words");
});

it("one letter to several: the same Message-ID in each mailbox, all named in To", () => {
  const home = tempMesh();
  const sent = send(order(["api", "db", "you"]));
  const texts = ["api", "db", "you"].map((id) => readFileSync(join(home, "inbox", id, "new", sent.unique), "utf8"));
  expect(new Set(texts).size).toBe(1);
  expect(texts[0]).toContain("To: the api <api@laptop>, the db <db@laptop>, the you <you@laptop>\n");
});

it("one letter to several that wait for a name: each says the folder that is meant, if one is", () => {
  const home = tempMesh();
  const both = order(["@api", "@db"], { body: "words" });
  const sent = send({ ...both, to: both.to.map((r) => (r.id === "@api" ? { ...r, folder: "/dev/a b" } : r)) });
  const folders = ["@api", "@db"].map((id) => {
    const text = readFileSync(join(home, "inbox", id, "new", sent.unique), "utf8");
    return parse(text, "").waitsFor;
  });
  expect(folders).toEqual(["/dev/a b", undefined]);
});

it("letters of one sender to one recipient lie in the order they were sent", () => {
  const home = tempMesh();
  const sent = Array.from({ length: 50 }, () => send(order(["api"])).unique);
  expect(listNew(join(home, "inbox/api"))).toEqual(sent);
});

it.each([
  ["EMPTY_BODY", " \n"],
  ["TOO_LARGE", "x".repeat(1024 * 1024)],
])("%s is said before anything is written", (code, body) => {
  const home = tempMesh();
  expect(thrownBy(() => send(order(["api"], { body })))).toMatchObject({ code });
  expect(readdirSync(join(home, "inbox"))).toEqual([]);
});

it("a mailbox that can't be had is named, with those who have the letter", () => {
  const home = tempMesh();
  writeFileSync(join(home, "inbox/api"), "in the way");
  const error = thrownBy(() => send(order(["api", "db"])));
  expect(error).toMatchObject({ code: "FAILED" });
  expect(error.message).toMatch(/^can't deliver to the api \(/);
  const [unique] = listNew(join(home, "inbox/db"));
  expect(error.hint).toContain(`<${unique}@claudemesh>`);
});

it("settle ends when the letter has left new/, and else when its time is over", async () => {
  const home = tempMesh();
  const sent = send(order(["api", "db"]));
  let settled = false;
  const waiting = settle(sent, 60_000).then(() => {
    settled = true;
  });
  collect(join(home, "inbox/api"), sent.unique);
  collect(join(home, "inbox/db"), sent.unique);
  await waiting;
  expect(settled).toBe(true);
  const stays = send(order(["api"]));
  await settle(stays, 20);
  expect(listNew(join(home, "inbox/api"))).toEqual([stays.unique]);
});
