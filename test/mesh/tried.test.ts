import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { heldIn, tellHeld } from "../../src/mesh/held.ts";
import { collect, mark } from "../../src/mesh/maildir.ts";
import { markSeen } from "../../src/mesh/owed.ts";
import { peek, receiptIn } from "../../src/mesh/receive.ts";
import {
  mayAnnounce,
  mayHand,
  mayRing,
  noteTried,
  type TriedBy,
  type Tries,
  triesOf,
  whyHeld,
} from "../../src/mesh/tried.ts";
import { box, letter, tempMesh } from "./temp-mesh.ts";

const tries = (...by: TriedBy[]): Tries | undefined =>
  by.length ? { by, since: new Date(2026, 10, 30, 10, 2) } : undefined;

describe("a letter that was tried", () => {
  it.each<[TriedBy[], ring: boolean, announce: boolean, hand: boolean]>([
    [[], true, true, true],
    [["inbox"], false, true, true],
    [["supervisor"], false, true, true],
    [["channel"], false, true, true],
    [["watcher"], false, false, true],
    [["inbox", "watcher"], false, false, true],
    // A hook has handed it over, and the client threw it away: the user did that.
    [["hook"], true, true, true],
    [["supervisor", "hook"], false, false, true],
    [["hook", "hook", "hook"], true, true, true],
    [["blind"], true, true, true],
    [["blind", "blind"], true, true, false],
    [["inbox", "told"], false, true, true],
  ])("by %j", (by, ring, announce, hand) => {
    const one = tries(...by);
    expect([mayRing(one), mayAnnounce(one), mayHand(one)]).toEqual([ring, announce, hand]);
  });

  it.each<[TriedBy[], string | undefined]>([
    [[], undefined],
    [["inbox"], "put before api once (inbox, 10:02), no hook answered: held for its hooks"],
    [["inbox", "watcher", "told"], "put before api once (inbox, 10:02), no hook answered: held for its hooks"],
    [["hook"], "handed to api at 10:02 with a prompt that was taken back: comes with its next prompt"],
    [["blind", "blind"], "handed to api 2 times since 10:02, nothing shows that it arrived: held for read_inbox"],
  ])("by %j says why it waits", (by, why) => {
    expect(whyHeld(tries(...by), "api")).toBe(why);
  });

  it("is remembered on disk, and forgotten once it is seen", () => {
    const mailbox = box(tempMesh(), "api");
    const unique = letter(mailbox);
    noteTried("api", [unique], "inbox");
    noteTried("api", [unique], "watcher");
    expect(triesOf("api", unique)?.by).toEqual(["inbox", "watcher"]);
    expect(receiptIn("api", unique)).toMatchObject({ state: "queued", reason: expect.stringContaining("once (inbox") });
    markSeen("api", peek("api").letters);
    expect(receiptIn("api", unique)).toMatchObject({ state: "seen" });
    expect(triesOf("api", unique)).toBeUndefined();
  });

  it("is counted as it is written, whatever else is in the file", () => {
    const mailbox = box(tempMesh(), "api");
    const unique = letter(mailbox);
    noteTried("api", [unique], "inbox");
    writeFileSync(join(mailbox, "tried", unique), "inbox\n\nnonsense\n");
    expect(mayRing(triesOf("api", unique))).toBe(false);
    expect(heldIn("api")).toHaveLength(1);
  });
});

describe("the sender of a letter that is held", () => {
  const LATER = () => Date.now() + 61_000;

  it("is told once, a minute later, by a note that wakes nobody", () => {
    const home = tempMesh();
    const [mailbox, web] = [box(home, "api"), box(home, "a8d0m2kq")];
    const unique = letter(mailbox, { body: "run the migration" });
    noteTried("api", [unique], "inbox");
    tellHeld("api");
    expect(readdirSync(join(web, "new"))).toEqual([]);
    tellHeld("api", LATER());
    tellHeld("api", LATER());
    const [note, ...more] = peek("a8d0m2kq").letters;
    expect(more).toEqual([]);
    expect(note?.message).toMatchObject({ kind: "note", priority: "low", inReplyTo: `<${unique}@claudemesh>` });
    expect(note?.message.body).toMatch(
      /^Your task to api is still unread: put before api once \(inbox, \d\d:\d\d\), no hook/,
    );
    expect(note?.message.body).toContain("It said: run the migration");
  });

  it("is not told of what was read by then, of claudemesh's own words, nor of a bounce", () => {
    const home = tempMesh();
    const [mailbox, web] = [box(home, "api"), box(home, "a8d0m2kq")];
    const read = letter(mailbox);
    const own = letter(mailbox, { from: { name: "claudemesh", id: "claudemesh", host: "laptop" }, kind: "note" });
    const bounce = letter(mailbox, { kind: "bounce" });
    noteTried("api", [read, own, bounce], "supervisor");
    collect(mailbox, read);
    mark(mailbox, read, "S");
    tellHeld("api", LATER());
    expect(readdirSync(join(web, "new"))).toEqual([]);
    expect(triesOf("api", read)).toBeUndefined();
  });
});
