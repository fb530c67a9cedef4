import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findPeer, resolveAddress } from "../../src/mesh/address.ts";
import { hostName } from "../../src/mesh/message.ts";
import type { Peer } from "../../src/mesh/peers.ts";
import { bootId, startedAt } from "../../src/mesh/process.ts";
import { sleeper, tempFolder, tempMesh, thrownBy } from "./temp-mesh.ts";

const { pid: me } = process;

function mesh(peers: (Partial<Peer> & { id: string })[]): Peer[] {
  const home = tempMesh();
  return peers.map((fields) => {
    const peer: Peer = {
      name: fields.id,
      cwd: `/dev/${fields.name ?? fields.id}`,
      host: hostName(),
      boot: bootId(),
      pid: me,
      pid_started: startedAt(me) ?? "",
      started_at: new Date(0).toISOString(),
      previous_sessions: [],
      ...fields,
    };
    writeFileSync(join(home, `peers/${peer.id}.json`), JSON.stringify(peer));
    return peer;
  });
}
const gone = { left_at: new Date(0).toISOString() };
const ids = (to: string, asking = {}) => resolveAddress(to, asking).map((r) => r.id);

describe("one session is meant by", () => {
  const peers = [
    { id: "7k3p9q2x", name: "api", cwd: "/dev/api-service" },
    { id: "7k3pzzzz", name: "Web", cwd: "/dev/web" },
    { id: "a8d0m2kq", name: "billing", cwd: "/dev/Pay" },
    { id: "g0ne0000", name: "old", cwd: "/dev/old", ...gone },
  ];
  it.each([
    ["its id", "7k3p9q2x", "7k3p9q2x"],
    ["its id in capitals", "7K3P9Q2X", "7k3p9q2x"],
    ["its id between blanks", " 7k3p9q2x ", "7k3p9q2x"],
    ["its name", "api", "7k3p9q2x"],
    ["its name in any case", "wEB", "7k3pzzzz"],
    ["its folder's name", "api-service", "7k3p9q2x"],
    ["its folder's name in any case", "pay", "a8d0m2kq"],
    ["a unique beginning of its id, of four", "a8d0", "a8d0m2kq"],
    ["a longer one", "7k3p9", "7k3p9q2x"],
    ["its id though it is gone", "g0ne0000", "g0ne0000"],
    ["a beginning of its id though it is gone", "g0ne", "g0ne0000"],
  ])("%s", (_what, who, id) => {
    mesh(peers);
    expect(findPeer(who).id).toBe(id);
    expect(resolveAddress(who)).toMatchObject([{ id, host: hostName(), peer: { id } }]);
  });

  it.each(["a8d", "old", "nobody", "7k3p9q2xx", "@nowhere", "../x"])("%j nobody is", (who) => {
    mesh(peers);
    const error = thrownBy(() => findPeer(who));
    expect(error).toMatchObject({ code: "NO_SUCH_PEER" });
    expect(error.message).toBe(`can't find '${who}': no such session`);
    for (const { id, name, cwd } of peers.slice(0, 3)) expect(error.hint).toMatch(new RegExp(`${id}.*${name}.*${cwd}`));
    expect(error.hint).not.toContain("g0ne0000");
  });

  it("an exact id before a name, a name before a beginning of an id", () => {
    mesh([
      { id: "7k3p9q2x", name: "api" },
      { id: "a8d0m2kq", name: "7k3p9q2x" },
      { id: "apiapi00", name: "x" },
      { id: "apiapi11", name: "apia" },
    ]);
    expect(findPeer("7k3p9q2x").id).toBe("7k3p9q2x");
    expect(findPeer("apia").id).toBe("apiapi11");
  });

  it("a live one before a gone one of the same beginning", () => {
    mesh([{ id: "7k3paaaa", ...gone }, { id: "7k3pbbbb" }]);
    expect(findPeer("7k3p").id).toBe("7k3pbbbb");
  });

  it("a name of two is an error that lists id, name, path and state of each, and of nobody else", () => {
    mesh([
      { id: "7k3p9q2x", name: "api", cwd: "/dev/one" },
      { id: "a8d0m2kq", name: "API", cwd: "/dev/two" },
      { id: "b0000000", name: "web", cwd: "/dev/web" },
    ]);
    const error = thrownBy(() => resolveAddress("api", { describe: (p: Peer) => (p.id[0] === "7" ? "idle" : "busy") }));
    expect(error).toMatchObject({ code: "AMBIGUOUS_PEER" });
    expect(error.message).toContain("'api'");
    expect(error.hint).toMatch(/7k3p9q2x +api +\/dev\/one.*idle/);
    expect(error.hint).toMatch(/a8d0m2kq +API +\/dev\/two.*busy/);
    expect(error.hint).not.toContain("b0000000");
  });

  it("a beginning of two ids is such an error too", () => {
    mesh([{ id: "7k3p9q2x" }, { id: "7k3pzzzz" }]);
    expect(thrownBy(() => findPeer("7k3p"))).toMatchObject({ code: "AMBIGUOUS_PEER" });
  });

  it("one whose name and folder are both the word is one, not two", () => {
    mesh([{ id: "7k3p9q2x", name: "api", cwd: "/dev/api" }]);
    expect(findPeer("api").id).toBe("7k3p9q2x");
  });

  it("one whose process has been killed is not found by its name, but by its id", async () => {
    const { pid, kill } = sleeper();
    mesh([{ id: "7k3p9q2x", name: "api", pid, pid_started: startedAt(pid) ?? "" }]);
    expect(findPeer("api").id).toBe("7k3p9q2x");
    await kill();
    expect(thrownBy(() => findPeer("api"))).toMatchObject({ code: "NO_SUCH_PEER" });
    expect(ids("7k3p9q2x")).toEqual(["7k3p9q2x"]);
  });

  it("where nobody is, the error says how to begin", () => {
    tempMesh({ open: false });
    expect(thrownBy(() => findPeer("api")).hint).toContain("nobody is there");
  });
});

describe("several are meant by", () => {
  const peers = [
    { id: "aaaa0000", name: "web", cwd: "/r/web", repo: "/r" },
    { id: "bbbb0000", name: "api", cwd: "/r/web", repo: "/r" },
    { id: "cccc0000", name: "tree", cwd: "/worktree", repo: "/r" },
    { id: "dddd0000", name: "else", cwd: "/else", repo: "/e" },
    { id: "eeee0000", name: "plain", cwd: "/plain" },
    { id: "ffff0000", name: "gone", cwd: "/r/web", repo: "/r", ...gone },
  ];
  it.each([
    ["*: everyone who lives but the sender", "*", "aaaa0000", ["bbbb0000", "cccc0000", "dddd0000", "eeee0000"]],
    ["@repo: the same repository, worktrees too", "@repo", "aaaa0000", ["bbbb0000", "cccc0000"]],
    ["@dir: the same folder", "@dir", "aaaa0000", ["bbbb0000"]],
    ["a list", "api,tree", "aaaa0000", ["bbbb0000", "cccc0000"]],
    ["a list with blanks", " api , tree ", "aaaa0000", ["bbbb0000", "cccc0000"]],
    ["a list that names one twice", "api,bbbb0000,API", "aaaa0000", ["bbbb0000"]],
    ["a list with a group in it", "@dir,else", "aaaa0000", ["bbbb0000", "dddd0000"]],
    ["a list with the human in it", "api,you", "aaaa0000", ["bbbb0000", "you"]],
  ])("%s", (_what, to, from, expected) => {
    const all = mesh(peers);
    expect(ids(to, { from: all.find((p) => p.id === from) })).toEqual(expected);
  });

  it("a human sends to everyone", () => {
    mesh(peers);
    expect(ids("*")).toHaveLength(5);
  });

  it("@dir of a human is the folder they stand in", () => {
    mesh([...peers, { id: "9999000a", name: "here", cwd: process.cwd() }]);
    expect(ids("@dir")).toEqual(["9999000a"]);
  });

  it.each(["@repo", "@dir"])("%s with nobody else there is an error", (to) => {
    const all = mesh(peers);
    const from = all.find((p) => p.name === "plain");
    expect(thrownBy(() => resolveAddress(to, { from }))).toMatchObject({ code: "NO_SUCH_PEER" });
  });

  it("* with nobody else there is an error", () => {
    const [from] = mesh([{ id: "aaaa0000" }]);
    expect(thrownBy(() => resolveAddress("*", { from }))).toMatchObject({ code: "NO_SUCH_PEER" });
  });

  it("a list in which one is unknown is an error that names that one", () => {
    mesh(peers);
    expect(thrownBy(() => resolveAddress("api,nobody")).message).toContain("'nobody'");
  });

  it("a folder with a comma in its name does not catch what is meant for several: it goes by a name without", () => {
    mesh([...peers, { id: "9999000a", name: "api,tree", cwd: "/r/api,tree" }]);
    expect(ids("api,tree")).toEqual(["bbbb0000", "cccc0000"]);
    expect(ids("api-tree")).toEqual(["9999000a"]);
  });
});

describe("besides", () => {
  it.each(["", "  "])("no address (%j) is a usage error", (to) => {
    tempMesh();
    expect(thrownBy(() => resolveAddress(to))).toMatchObject({ code: "USAGE" });
  });

  it("`you` is the human", () => {
    tempMesh();
    expect(resolveAddress("you")).toEqual([{ id: "you", name: "you", host: hostName() }]);
  });

  it.each(["you", "You", " YOU "])("%j is the human, whatever a session is called", (to) => {
    mesh([{ id: "aaaa0000", name: "you", cwd: "/dev/you" }]);
    expect(ids(to)).toEqual(["you"]);
    expect(ids("session-you")).toEqual(["aaaa0000"]);
  });

  it("a name is found in whichever way its letters are composed, and in any case", () => {
    mesh([
      { id: "aaaa0000", name: "cafe\u0301", cwd: "/dev/x" },
      { id: "bbbb0000", name: "b", cwd: "/dev/CAFÉ2".normalize("NFD") },
    ]);
    expect(["caf\u00e9", "CAFE\u0301", "café2"].flatMap((to) => ids(to))).toEqual(["aaaa0000", "aaaa0000", "bbbb0000"]);
    expect(ids("É", { queue: true })).toEqual(ids("e\u0301", { queue: true }));
  });

  it("a name with nobody there is an error, and with `queue` a place where mail waits", () => {
    mesh([{ id: "g0ne0000", name: "api", ...gone }]);
    expect(thrownBy(() => resolveAddress("API"))).toMatchObject({ code: "NO_SUCH_PEER" });
    expect(resolveAddress("API", { queue: true })).toMatchObject([{ id: "@api", name: "API" }]);
    expect(ids("api,web", { queue: true })).toEqual(["@api", "@web"]);
  });

  it("a place under the name that a session there would have, and none where no session could have it", () => {
    mesh([]);
    expect(ids("@-everyone,(web)", { queue: true })).toEqual(["@session-everyone", "@web"]);
    for (const to of ["..", "*#", "@", "\u200b"])
      expect([to, thrownBy(() => resolveAddress(to, { queue: true })).code]).toEqual([to, "NO_SUCH_PEER"]);
  });

  describe("the folder that mail waits for under a name", () => {
    const folder = (peers: Parameters<typeof mesh>[0], asking = {}) => {
      mesh(peers.map((peer) => ({ ...gone, ...peer })));
      return resolveAddress("api", { queue: true, ...asking })[0]?.folder;
    };
    it("is that in which a session of the name has been, by whatever it was so called", () => {
      expect(folder([{ id: "aaaa0000", name: "api", cwd: "/dev/one" }])).toBe("/dev/one");
      expect(folder([{ id: "aaaa0000", name: "x", cwd: "/dev/API" }])).toBe("/dev/API");
      expect(folder([{ id: "aaaa0000", name: "api", named: "repository", cwd: "/dev/one" }])).toBe("/dev/one");
    });

    it("is not known where none has been, or several in different folders", () => {
      expect(folder([{ id: "aaaa0000", name: "web" }])).toBeUndefined();
      const two = [
        { id: "aaaa0000", name: "api", cwd: "/dev/one" },
        { id: "bbbb0000", name: "api", cwd: "/dev/two" },
      ];
      expect(folder(two)).toBeUndefined();
      expect(folder([...two.slice(0, 1), { id: "cccc0000", name: "api", cwd: "/dev/one" }])).toBe("/dev/one");
    });

    it("is not that of a session which only its repository called so, where another was of that name", () => {
      const squatter = { id: "aaaa0000", name: "api", named: "repository" as const, cwd: "/evil" };
      expect(folder([squatter, { id: "bbbb0000", name: "api", named: "folder", cwd: "/dev/api" }])).toBe("/dev/api");
    });

    it("is the sender's own, where its repository gives that name", () => {
      const cwd = tempFolder();
      writeFileSync(join(cwd, ".claudemesh.json"), '{"name":"API"}');
      expect(folder([{ id: "aaaa0000", name: "api", cwd: "/dev/one" }], { from: { cwd } })).toBe(cwd);
    });
  });

  it.each(["../../evil", "/etc", "a\0b"])("the place for %j lies inside inbox/", (to) => {
    const home = tempMesh();
    const [place] = ids(to, { queue: true });
    expect(place).toMatch(/^@[^/\0]+$/);
    mkdirSync(join(home, "inbox", place ?? ""));
    expect(join(home, "inbox", place ?? "").startsWith(join(home, "inbox/@"))).toBe(true);
  });

  it("a name that several share is not queued but an error", () => {
    mesh([
      { id: "aaaa0000", name: "api" },
      { id: "bbbb0000", name: "api" },
    ]);
    expect(thrownBy(() => resolveAddress("api", { queue: true }))).toMatchObject({ code: "AMBIGUOUS_PEER" });
  });
});
