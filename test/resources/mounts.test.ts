// A mailbox that is another file system: what moves between the two is copied, durably, before the old one goes.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { joinMesh } from "../../src/mesh/join.ts";
import { listNew, makeMailbox } from "../../src/mesh/maildir.ts";
import { readPeer } from "../../src/mesh/peers.ts";
import { peek, take } from "../../src/mesh/receive.ts";
import { send } from "../../src/mesh/send.ts";
import { sweep } from "../../src/mesh/sweep.ts";
import { letter, sleeper, tempFolder, tempMesh } from "../mesh/temp-mesh.ts";
import { canMount, mountOver } from "./places.ts";

const WEB = { id: "web", name: "web", host: "laptop" };

/** The mailbox `id` as a file system of its own. */
function mounted(home: string, id: string): string {
  const path = join(home, "inbox", id);
  mountOver(path, "tmpfs", "mode=700");
  makeMailbox(path);
  return path;
}

describe.skipIf(!canMount)("a mailbox on another file system (needs the right to mount)", () => {
  it("takes a letter, and shows it once", () => {
    const api = mounted(tempMesh(), "api");
    send({ from: WEB, to: [{ id: "api", name: "api", host: "laptop" }], body: "hello" });
    expect(listNew(api)).toHaveLength(1);
    expect(take("api", () => true).map((l) => l.message.body)).toEqual(["hello"]);
    expect(take("api", () => true)).toEqual([]);
  });

  it("has what is no letter buried, text and other, and the letters beside it stay", () => {
    const home = tempMesh();
    const api = mounted(home, "api");
    letter(api, { body: "expired", expires: new Date(0) });
    const stays = letter(api);
    writeFileSync(join(api, "new", "1.M000001P1Q1.x"), "\0");
    mkdirSync(join(api, "new", "1.M000002P1Q1.x"));
    expect(peek("api").letters.map((l) => l.unique)).toEqual([stays]);
    expect(listNew(api)).toEqual([stays]);
    expect(readdirSync(join(home, "dead", "new"))).toHaveLength(3);
  });

  it("that waited under a name gives its mail to the session that joins under it, whole and in order", async () => {
    const home = tempMesh();
    const waiting = mounted(home, "@api");
    const names = [letter(waiting, { body: "one" }), letter(waiting, { body: "two" })];
    const peer = await joinMesh({ pid: sleeper().pid, cwd: tempFolder(), name: "api" });
    const own = join(home, "inbox", peer.id);
    expect(listNew(own)).toEqual(names);
    expect(listNew(waiting)).toEqual([]);
    expect(readFileSync(join(own, "new", names[1] ?? ""), "utf8")).toContain("\n\ntwo\n");
    // A hidden file of a move that was not finished would stay here.
    expect(readdirSync(join(own, "new"))).toEqual(names);
  });

  it("of a session long gone keeps no other from being swept", async () => {
    const home = tempMesh();
    const [claude, other] = [sleeper(), sleeper()];
    const gone = await joinMesh({ pid: claude.pid, cwd: tempFolder(), name: "mounted" });
    const second = await joinMesh({ pid: other.pid, cwd: tempFolder(), name: "plain" });
    await claude.kill();
    await other.kill();
    mounted(home, gone.id);
    await sweep(Date.now() + 20 * 86_400_000);
    expect(readPeer(second.id)).toBeUndefined();
    expect(readPeer(gone.id)).toBeDefined();
  });
});
