import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Arrival, joinMesh, leave, publish, updatePeer } from "../../src/mesh/join.ts";
import { curPath, listNew, newPath } from "../../src/mesh/maildir.ts";
import {
  beat,
  isAlive,
  isLocal,
  LEASE,
  listPeers,
  type Peer,
  peerOfProcess,
  readPeer,
  readPeers,
} from "../../src/mesh/peers.ts";
import { bootId, startedAt } from "../../src/mesh/process.ts";
import { take } from "../../src/mesh/receive.ts";
import { box, drop, inNode, letter, sleeper, tempFolder, tempMesh } from "./temp-mesh.ts";

/** A folder with the given last part. */
function project(name: string, files: Record<string, string> = {}): string {
  const dir = join(tempFolder(), name);
  mkdirSync(dir);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(dir, file), text);
  return dir;
}
/** A new process that joins; `kill` ends it. */
async function session(fields: Partial<Arrival> = {}) {
  const { pid, kill } = sleeper();
  const arrival: Arrival = { pid, cwd: project("api"), ...fields };
  return { peer: await joinMesh(arrival), arrival, kill };
}
const linkOf = (home: string, ...path: string[]) => {
  const link = join(home, ...path);
  return lstatSync(link, { throwIfNoEntry: false }) ? readlinkSync(link) : undefined;
};
const store = (home: string, peer: Peer) => writeFileSync(join(home, `peers/${peer.id}.json`), JSON.stringify(peer));
/** What the badge says here, without the name of the place. */
const badge = (home: string) => readFileSync(join(home, "badge"), "utf8").replace(/^\S+ ?/, "");

describe("a new session", () => {
  it("gets a peer file that says who, where and which process", async () => {
    const home = tempMesh({ open: false });
    const cwd = project("api-service");
    const { peer, arrival } = await session({
      cwd,
      session_id: "s-1",
      transcript_path: "/t/s-1.jsonl",
      client: "2.1.329",
      claude_session_file: "/c/1.json",
      supervisor: 4240,
    });
    const file = join(home, `peers/${peer.id}.json`);
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(peer);
    expect(peer).toMatchObject({
      name: "api-service",
      cwd,
      boot: bootId(),
      pid: arrival.pid,
      pid_started: startedAt(arrival.pid),
      session_id: "s-1",
      transcript_path: "/t/s-1.jsonl",
      client: "2.1.329",
      claude_session_file: "/c/1.json",
      supervisor: 4240,
      previous_sessions: [],
    });
    expect(Date.parse(peer.started_at)).not.toBeNaN();
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(home, "inbox", peer.id)).sort()).toEqual(expect.arrayContaining(["cur", "new", "tmp"]));
    expect(readPeer(peer.id)).toEqual(peer);
    expect(isAlive(peer)).toBe(true);
  });

  it("gets an id of 8 Crockford characters, at least one of them a letter", async () => {
    tempMesh();
    for (let n = 0; n < 10; n++) {
      const { peer } = await session();
      expect(peer.id).toMatch(/^[0-9a-hjkmnp-tv-z]{8}$/);
      expect(peer.id).toMatch(/[a-z]/);
    }
    expect(listPeers()).toHaveLength(10);
  });

  it("is found by a hook under its session id, and by a script under its name", async () => {
    const home = tempMesh();
    const { peer } = await session({ session_id: "s-1" });
    expect(linkOf(home, "sessions/s-1")).toBe(`../inbox/${peer.id}`);
    expect(linkOf(home, "to/api")).toBe(`../inbox/${peer.id}`);
    expect(readdirSync(join(home, "to/api"))).toContain("new");
  });

  it.each(["../evil", "a/b", "..", "", "."])("a session id of %j makes no link anywhere", async (session_id) => {
    const home = tempMesh();
    await session({ session_id });
    expect(readdirSync(join(home, "sessions"))).toEqual([]);
    expect(existsSync(join(home, "evil"))).toBe(false);
  });

  it("the badge lists the pids of those who live, on one line", async () => {
    const home = tempMesh();
    const [a, b] = [await session(), await session()];
    const pids = () => badge(home).trim().split(" ").filter(Boolean).map(Number).sort();
    expect(pids()).toEqual([a.arrival.pid, b.arrival.pid].sort());
    expect(badge(home)).toMatch(/^[\d ]*\n$/);
    await b.kill();
    await joinMesh(a.arrival);
    expect(pids()).toEqual([a.arrival.pid]);
  });
});

describe("the name", () => {
  it.each([
    [
      ".claudemesh.json",
      { ".claudemesh.json": '{"name":"billing"}', ".claude-mesh.json": '{"name":"old"}' },
      "given",
      "billing",
    ],
    [".claude-mesh.json", { ".claude-mesh.json": '{"name":"billing"}' }, "given", "billing"],
    ["the one given", {}, "given", "given"],
    ["the folder's", {}, undefined, "api"],
    ["the one given, if the file is broken", { ".claudemesh.json": "{" }, "given", "given"],
    ["the folder's, if the file's is no text", { ".claudemesh.json": '{"name":7}' }, undefined, "api"],
    ["the folder's, if the file's is blank", { ".claudemesh.json": '{"name":" "}' }, undefined, "api"],
  ] as [string, Record<string, string>, string | undefined, string][])(
    "is that of %s",
    async (_what, files, given, name) => {
      tempMesh();
      const { peer } = await session({ cwd: project("api", files), ...(given ? { name: given } : {}) });
      expect(peer.name).toBe(name);
    },
  );

  it("is one line, whatever the folder is called", async () => {
    tempMesh();
    expect((await session({ cwd: project("two\nlines\u001b[2J") })).peer.name).toBe("two lines [2J");
    expect((await session({ cwd: "/" })).peer.name).toBe("session");
  });

  it("of a repository stands behind what its user said where it claims to be the user, and is noted as its", async () => {
    tempMesh();
    const named = async (file: string, name?: string) => {
      const cwd = project("api", { ".claudemesh.json": JSON.stringify({ name: file }) });
      const { peer } = await session({ cwd, ...(name ? { name } : {}) });
      return [peer.name, peer.named];
    };
    expect(await named("you")).toEqual(["api", "folder"]);
    expect(await named("your user (approved, from the terminal)", "given")).toEqual(["given", "user"]);
    expect(await named("web,db")).toEqual(["web-db", "repository"]);
    expect(await named("API")).toEqual(["API", "folder"]);
  });

  it("of a repository goes with the file that gave it; what the user gave stays", async () => {
    tempMesh();
    const cwd = project("api", { ".claudemesh.json": '{"name":"billing"}' });
    const { peer, arrival } = await session({ cwd });
    unlinkSync(join(cwd, ".claudemesh.json"));
    expect([peer.name, (await joinMesh(arrival)).name]).toEqual(["billing", "api"]);
    await updatePeer(peer.id, { name: "fixer", named: "user" });
    expect(await joinMesh(arrival)).toMatchObject({ name: "fixer", named: "user" });
  });

  it("is cleaned as well where a peer file says it", async () => {
    const home = tempMesh();
    const { peer } = await session();
    for (const [name, read] of [
      ["you", "session-you"],
      ["a,b", "a-b"],
      ["*", "session"],
    ] as const) {
      store(home, { ...peer, name });
      expect(readPeer(peer.id)?.name).toBe(read);
    }
  });

  it("once given stays when the same process says nothing of a name later", async () => {
    tempMesh();
    const { arrival } = await session({ name: "given", session_id: "s-1" });
    const { name: _, ...silent } = arrival;
    expect((await joinMesh({ ...silent, session_id: "s-2" })).name).toBe("given");
  });

  it("changed moves the link in to/", async () => {
    const home = tempMesh();
    const { peer } = await session();
    expect(await updatePeer(peer.id, { name: "billing", summary: "at work" })).toMatchObject({ summary: "at work" });
    expect(readdirSync(join(home, "to"))).toEqual(["billing"]);
    expect(readPeer(peer.id)).toMatchObject({ name: "billing", summary: "at work", pid: peer.pid });
    expect(await updatePeer("nobody00", { name: "x" })).toBeUndefined();
  });

  it("shared by two is no link; when one of them goes, it is the other's again", async () => {
    const home = tempMesh();
    const a = await session();
    const b = await session();
    expect([a.peer.name, b.peer.name]).toEqual(["api", "api"]);
    expect(linkOf(home, "to/api")).toBeUndefined();
    await leave(a.peer.id, a.peer.pid);
    expect(linkOf(home, "to/api")).toBe(`../inbox/${b.peer.id}`);
    await leave(b.peer.id, b.peer.pid);
    expect(readdirSync(join(home, "to"))).toEqual([]);
  });

  it.each([
    ["a/b", []],
    ["..", ["api"]],
    ["../..", []],
    [".hidden", ["hidden"]],
    ["-x", ["x"]],
    ["caf\u00e9".normalize("NFD"), ["caf\u00e9"]],
  ])("%j is linked as %j, and nothing outside to/", async (name, links) => {
    const home = tempMesh();
    await session({ name });
    expect(readdirSync(join(home, "to"))).toEqual(links);
    expect(existsSync(join(home, "..", "api"))).toBe(false);
  });

  it("a folder that somebody made in to/ keeps nobody from joining", async () => {
    const home = tempMesh();
    mkdirSync(join(home, "to/api"));
    mkdirSync(join(home, "to/mine"));
    await session();
    await session({ cwd: project("db") });
    expect(linkOf(home, "to/db")).toBeDefined();
    expect(listPeers()).toHaveLength(2);
  });
});

describe("the same process", () => {
  it("keeps its id over /clear and /resume: only the session and its link move", async () => {
    const home = tempMesh();
    const { peer, arrival } = await session({ session_id: "s-1" });
    const second = await joinMesh({ ...arrival, session_id: "s-2" });
    expect(second).toMatchObject({ id: peer.id, session_id: "s-2", previous_sessions: ["s-1"] });
    expect(second.started_at).toBe(peer.started_at);
    expect(readdirSync(join(home, "sessions"))).toEqual(["s-2"]);
    expect(linkOf(home, "sessions/s-2")).toBe(`../inbox/${peer.id}`);
    const back = await joinMesh({ ...arrival, session_id: "s-1" });
    expect(back).toMatchObject({ id: peer.id, session_id: "s-1" });
    expect(back.previous_sessions).toContain("s-2");
    expect(readdirSync(join(home, "sessions"))).toEqual(["s-1"]);
    expect(listPeers()).toHaveLength(1);
  });

  it("joining twice is joining once", async () => {
    const home = tempMesh();
    const { peer, arrival } = await session({ session_id: "s-1" });
    expect(await joinMesh(arrival)).toEqual(peer);
    expect(readdirSync(join(home, "inbox"))).toEqual([peer.id]);
  });

  it("keeps what it does not say anew: session, transcript, supervisor, MCP server, summary", async () => {
    tempMesh();
    const { peer, arrival } = await session({ session_id: "s-1", transcript_path: "/t", supervisor: 7 });
    await updatePeer(peer.id, { mcp: 8, summary: "at work" });
    expect(await joinMesh({ pid: arrival.pid, cwd: arrival.cwd })).toMatchObject({
      session_id: "s-1",
      transcript_path: "/t",
      supervisor: 7,
      mcp: 8,
      summary: "at work",
      previous_sessions: [],
    });
  });

  it("remembers its last 50 sessions, each once", async () => {
    tempMesh();
    const { peer, arrival } = await session({ session_id: "s-0" });
    for (let n = 1; n <= 60; n++) await joinMesh({ ...arrival, session_id: `s-${n % 58}` });
    const remembered = readPeer(peer.id)?.previous_sessions ?? [];
    expect(remembered).toHaveLength(50);
    expect(new Set(remembered).size).toBe(50);
    expect(remembered.at(-1)).toBe("s-1");
  });

  it("that said goodbye and comes again is there again", async () => {
    const home = tempMesh();
    const { peer, arrival } = await session({ session_id: "s-1" });
    await leave(peer.id, peer.pid);
    const again = await joinMesh(arrival);
    expect(again.id).toBe(peer.id);
    expect(isAlive(again)).toBe(true);
    expect(linkOf(home, "to/api")).toBe(`../inbox/${peer.id}`);
  });

  it("is found by its pid, with or without its session", async () => {
    tempMesh();
    const { peer, arrival } = await session({ session_id: "s-1" });
    expect(peerOfProcess(arrival.pid)).toEqual(peer);
    expect(peerOfProcess(arrival.pid, "s-1")).toEqual(peer);
    expect(peerOfProcess(arrival.pid, "another")).toEqual(peer);
    expect(peerOfProcess(process.pid, "s-1")).toBeUndefined();
  });
});

describe("a new process", () => {
  it("that resumes a gone peer's session takes its id back, with the mail that came meanwhile", async () => {
    const home = tempMesh();
    const first = await session({ session_id: "s-1", supervisor: 77 });
    await updatePeer(first.peer.id, { mcp: 78 });
    await first.kill();
    letter(join(home, "inbox", first.peer.id), { body: "came meanwhile" });
    const second = await session({ session_id: "s-1" });
    expect(second.peer).toMatchObject({ id: first.peer.id, pid: second.arrival.pid, session_id: "s-1" });
    expect(second.peer.supervisor).toBeUndefined();
    expect(second.peer.mcp).toBeUndefined();
    expect(take(second.peer.id, () => true).map((l) => l.message.body)).toEqual(["came meanwhile"]);
    expect(isAlive(second.peer)).toBe(true);
  });

  it("takes it also after a goodbye, and also by an earlier session of that peer", async () => {
    const home = tempMesh();
    const first = await session({ session_id: "s-1" });
    await joinMesh({ ...first.arrival, session_id: "s-2" });
    await leave(first.peer.id, first.peer.pid);
    await first.kill();
    const second = await session({ session_id: "s-1" });
    expect(second.peer).toMatchObject({ id: first.peer.id, session_id: "s-1" });
    expect(second.peer.left_at).toBeUndefined();
    expect(isAlive(second.peer)).toBe(true);
    expect(readdirSync(join(home, "sessions"))).toEqual(["s-1"]);
  });

  it("prefers the peer that had the session last", async () => {
    tempMesh();
    const early = await session({ session_id: "s-1" });
    await joinMesh({ ...early.arrival, session_id: "s-2" });
    const late = await session({ session_id: "s-1", fork: true });
    await early.kill();
    await late.kill();
    expect((await session({ session_id: "s-1" })).peer.id).toBe(late.peer.id);
  });

  it("gets a new id while the session is live elsewhere, and the session's link is absent meanwhile", async () => {
    const home = tempMesh();
    const first = await session({ session_id: "s-1" });
    const second = await session({ session_id: "s-1" });
    expect(second.peer.id).not.toBe(first.peer.id);
    expect(linkOf(home, "sessions/s-1")).toBeUndefined();
    expect([isAlive(first.peer), isAlive(second.peer)]).toEqual([true, true]);
    await joinMesh(first.arrival);
    expect(linkOf(home, "sessions/s-1")).toBeUndefined();
  });

  it.each(["says goodbye", "goes on to another session"])("the link is back when one of the two %s", async (how) => {
    const home = tempMesh();
    const first = await session({ session_id: "s-1" });
    const second = await session({ session_id: "s-1" });
    if (how === "says goodbye") await leave(second.peer.id, second.peer.pid);
    else await joinMesh({ ...second.arrival, session_id: "s-2" });
    expect(linkOf(home, "sessions/s-1")).toBe(`../inbox/${first.peer.id}`);
  });

  it("that forks gets a new id even if that session's peer is gone", async () => {
    tempMesh();
    const first = await session({ session_id: "s-1" });
    await first.kill();
    expect((await session({ session_id: "s-1", fork: true })).peer.id).not.toBe(first.peer.id);
  });

  it("that takes over a gone peer leaves alone the link of another who has that peer's last session", async () => {
    const home = tempMesh();
    const gone = await session({ session_id: "s-1" });
    await joinMesh({ ...gone.arrival, session_id: "s-2" });
    await gone.kill();
    const fork = await session({ session_id: "s-2", fork: true });
    expect(linkOf(home, "sessions/s-2")).toBe(`../inbox/${fork.peer.id}`);
    expect((await session({ session_id: "s-1" })).peer.id).toBe(gone.peer.id);
    expect(linkOf(home, "sessions/s-2")).toBe(`../inbox/${fork.peer.id}`);
  });

  it("with a pid that a gone peer had before is not that peer", async () => {
    const home = tempMesh();
    const { peer, arrival } = await session();
    store(home, { ...peer, pid_started: "1" });
    expect(isAlive({ ...peer, pid_started: "1" })).toBe(false);
    expect((await joinMesh(arrival)).id).not.toBe(peer.id);
    expect(peerOfProcess(arrival.pid)?.id).not.toBe(peer.id);
  });

  it("under a name where mail waits gets that mail, the oldest first", async () => {
    const home = tempMesh();
    const waiting = box(home, "@api");
    const sent = [letter(waiting), letter(waiting)];
    const other = await session({ cwd: project("db") });
    expect(listNew(join(home, "inbox", other.peer.id))).toEqual([]);
    const { peer } = await session({ cwd: project("API") });
    expect(listNew(join(home, "inbox", peer.id))).toEqual(sent);
    expect(listNew(waiting)).toEqual([]);
    expect(existsSync(join(home, "inbox", peer.id, "bell"))).toBe(true);
  });

  it("named by a repository's file only does not get mail that waits for that name, but its rightful bearer", async () => {
    const home = tempMesh();
    const waiting = box(home, "@api");
    const sent = letter(waiting);
    const squatter = await session({ cwd: project("evil", { ".claudemesh.json": '{"name":"api"}' }) });
    expect(squatter.peer.name).toBe("api");
    expect(listNew(waiting)).toEqual([sent]);
    const { peer } = await session({ cwd: project("fix") });
    await updatePeer(peer.id, { name: "API", named: "user" });
    expect(listNew(join(home, "inbox", peer.id))).toEqual([sent]);
    expect(listNew(join(home, "inbox", squatter.peer.id))).toEqual([]);
  });

  it("gets mail that waits for its folder, which no other of the name does", async () => {
    const home = tempMesh();
    const waiting = box(home, "@api");
    const cwd = project("pay", { ".claudemesh.json": '{"name":"api"}' });
    const sent = letter(waiting, { waitsFor: cwd });
    const other = await session({ cwd: project("api") });
    const fixer = await session({ cwd: project("x"), name: "api" });
    expect(listNew(waiting)).toEqual([sent]);
    const { peer } = await session({ cwd });
    const lying = [peer, other.peer, fixer.peer].map(({ id }) => listNew(join(home, "inbox", id)));
    expect(lying).toEqual([[sent], [], []]);
  });

  it("gets a letter once that was sent to its name and to its id, and both of two that another program named alike", async () => {
    const home = tempMesh();
    const waiting = box(home, "@api");
    const unique = letter(waiting);
    const { peer, kill } = await session({ cwd: project("db"), session_id: "s-1" });
    const own = join(home, "inbox", peer.id);
    renameSync(drop(own, unique, "the same"), curPath(own, unique, "S"));
    drop(waiting, "note", "one");
    drop(own, "note", "two");
    await kill();
    expect((await session({ cwd: project("api"), session_id: "s-1" })).peer.id).toBe(peer.id);
    expect(listNew(waiting)).toEqual([]);
    expect(readdirSync(join(own, "cur"))).toEqual([`${unique}:2,S`]);
    const texts = listNew(own).map((name) => readFileSync(newPath(own, name), "utf8"));
    expect(texts.sort()).toEqual(["one", "two"]);
  });
});

describe("leaving", () => {
  it("takes away name, session link and badge; the mailbox stays", async () => {
    const home = tempMesh();
    const { peer } = await session({ session_id: "s-1" });
    const unique = letter(join(home, "inbox", peer.id));
    await leave(peer.id, peer.pid);
    expect(isAlive(readPeer(peer.id) as Peer)).toBe(false);
    expect(readdirSync(join(home, "to"))).toEqual([]);
    expect(readdirSync(join(home, "sessions"))).toEqual([]);
    expect(badge(home)).toBe("");
    expect(listNew(join(home, "inbox", peer.id))).toEqual([unique]);
  });

  it("of somebody unknown, or twice, harms nobody", async () => {
    tempMesh();
    const { peer } = await session();
    await leave("nobody00", process.pid);
    await leave(peer.id, process.pid);
    expect(readPeer(peer.id)).not.toHaveProperty("left_at");
    await leave(peer.id, peer.pid);
    await leave(peer.id, peer.pid);
    expect(isAlive(readPeer(peer.id) as Peer)).toBe(false);
  });
});

describe("alive", () => {
  it("a peer whose process was killed is gone, and so is a zombie's", async () => {
    tempMesh();
    const { peer, kill } = await session();
    expect(isAlive(peer)).toBe(true);
    await kill();
    expect(isAlive(peer)).toBe(false);
  });

  it.each([
    ["another boot", { boot: "another-boot" }],
    ["another PID namespace", { boot: `${bootId().split("/")[0]}/pid:[1]` }],
    ["another host", { host: "another-host" }],
  ])("one of %s lives while its last beat is younger than 90 s", async (_what, fields) => {
    const home = tempMesh();
    const { peer, kill } = await session();
    const far: Peer = { ...peer, ...fields };
    await kill();
    expect(isLocal(far)).toBe(false);
    const now = Date.now();
    expect(LEASE).toBe(90_000);
    beat(peer.id);
    expect(isAlive(far)).toBe(true);
    const file = join(home, "inbox", peer.id, "beat");
    utimesSync(file, now / 1000 - 89, now / 1000 - 89);
    expect(isAlive(far, now)).toBe(true);
    utimesSync(file, now / 1000 - 91, now / 1000 - 91);
    expect(isAlive(far, now)).toBe(false);
    unlinkSync(file);
    expect(isAlive(far, now)).toBe(false);
    expect(isAlive({ ...far, left_at: new Date().toISOString() })).toBe(false);
  });

  it("a beat for a mailbox that is not there makes none", () => {
    const home = tempMesh();
    beat("nobody00");
    expect(existsSync(join(home, "inbox/nobody00"))).toBe(false);
  });
});

describe("a peer file that is none", () => {
  it.each([
    ["no JSON", "{"],
    ["empty", ""],
    ["an array", "[]"],
    ["lacking its name", JSON.stringify({ id: "broken00" })],
    ["of another id", ""],
  ])("(%s) is reported and harms nobody", async (what, text) => {
    const home = tempMesh();
    const { peer, arrival } = await session({ session_id: "s-1" });
    const broken = join(home, "peers/broken00.json");
    writeFileSync(broken, what === "of another id" ? JSON.stringify(peer) : text);
    expect(readPeers()).toEqual({ peers: [peer], broken: [broken] });
    expect((await joinMesh(arrival)).id).toBe(peer.id);
    const other = await session({ cwd: project("db") });
    expect(
      listPeers()
        .map((p) => p.id)
        .sort(),
    ).toEqual([peer.id, other.peer.id].sort());
    expect(existsSync(broken)).toBe(true);
  });

  it("with wrong types inside is broken, not half believed", async () => {
    const home = tempMesh();
    const { peer } = await session();
    for (const wrong of [
      { pid: "1" },
      { summary: 1 },
      { previous_sessions: [1] },
      { previous_sessions: "s" },
      { pid: 1.5 },
    ]) {
      writeFileSync(join(home, `peers/${peer.id}.json`), JSON.stringify({ ...peer, ...wrong }));
      expect([wrong, readPeer(peer.id)]).toEqual([wrong, undefined]);
    }
  });

  it("half-written leftovers beside it are no peers", async () => {
    const home = tempMesh();
    const { peer } = await session();
    writeFileSync(join(home, `peers/${peer.id}.json.1.1.tmp`), "{");
    expect(readPeers()).toEqual({ peers: [peer], broken: [] });
  });
});

describe("many real processes at once", () => {
  it("twenty that join together all get ids of their own and are all registered", async () => {
    const home = tempMesh();
    const claudes = Array.from({ length: 20 }, () => sleeper());
    const code = `
      const { joinMesh } = await mesh("join");
      done(await joinMesh({ pid: Number(args[0]), cwd: "/tmp", session_id: "s-" + args[0], name: "one-of-many" }));`;
    const peers = await Promise.all(claudes.map(({ pid }) => inNode<Peer>(code, { args: [String(pid)] })));
    expect(new Set(peers.map((p) => p.id)).size).toBe(20);
    expect(
      listPeers()
        .map((p) => p.pid)
        .sort(),
    ).toEqual(claudes.map((c) => c.pid).sort());
    expect(readdirSync(join(home, "sessions")).sort()).toEqual(claudes.map((c) => `s-${c.pid}`).sort());
    expect(badge(home).trim().split(" ").map(Number).sort()).toEqual(claudes.map((c) => c.pid).sort());
    expect(readdirSync(join(home, "inbox")).sort()).toEqual(peers.map((p) => p.id).sort());
    expect(readdirSync(join(home, "peers"))).toHaveLength(20);
  });

  it("ten hooks of one new session together make one peer", async () => {
    tempMesh();
    const { pid } = sleeper();
    const code = `
      const { joinMesh } = await mesh("join");
      done((await joinMesh({ pid: Number(args[0]), cwd: "/tmp", session_id: "s-1" })).id);`;
    const ids = await Promise.all(Array.from({ length: 10 }, () => inNode<string>(code, { args: [String(pid)] })));
    expect(new Set(ids).size).toBe(1);
    expect(listPeers()).toHaveLength(1);
  });

  it("one that only looks at the mesh and publishes it trips nobody who is joining", async () => {
    const home = tempMesh();
    const { pid } = sleeper();
    const publisher = `
      const { publish } = await mesh("join");
      const { existsSync } = await import("node:fs");
      const errors = [];
      while (!existsSync(args[0])) try { publish(); } catch (error) { errors.push(String(error)); }
      done(errors);`;
    const renamer = `
      const { joinMesh, updatePeer } = await mesh("join");
      const errors = [];
      const { id } = await joinMesh({ pid: Number(args[0]), cwd: "/tmp" });
      for (let n = 0; n < 200; n++) try { await updatePeer(id, { name: "name-" + n }); } catch (error) { errors.push(String(error)); }
      done(errors);`;
    const looking = [1, 2].map(() => inNode<string[]>(publisher, { args: [join(home, "end")] }));
    const errors = await inNode<string[]>(renamer, { args: [String(pid)] });
    writeFileSync(join(home, "end"), "");
    expect([...errors, ...(await Promise.all(looking)).flat()]).toEqual([]);
  });
});

it("publish mends a to/ that somebody has damaged", async () => {
  const home = tempMesh();
  const { peer } = await session();
  unlinkSync(join(home, "to/api"));
  publish();
  expect(linkOf(home, "to/api")).toBe(`../inbox/${peer.id}`);
  renameSync(join(home, "to/api"), join(home, "to/stale"));
  publish();
  expect(readdirSync(join(home, "to"))).toEqual(["api"]);
  expect(basename(readlinkSync(join(home, "to/api")))).toBe(peer.id);
});
