// Any order of the verbs, on real files, against a model that fits on a page: who is where, and what lies where. After
// every step the whole folder must read as the model says. Time is made to pass by the verbs' own clock.

import { readdirSync, readFileSync, readlinkSync, utimesSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import fc from "fast-check";
import { afterEach, expect, it, vi } from "vitest";
import { look } from "../../src/mesh/clock.ts";
import { DEFAULTS } from "../../src/mesh/config.ts";
import { joinMesh, leave, noticeDeaths } from "../../src/mesh/join.ts";
import { curPath, makeMailbox, newPath, putBack } from "../../src/mesh/maildir.ts";
import { hostName, messageIdOf, parse } from "../../src/mesh/message.ts";
import { markSeen } from "../../src/mesh/owed.ts";
import { isAlive, readPeers } from "../../src/mesh/peers.ts";
import { type Letter, take } from "../../src/mesh/receive.ts";
import { reply } from "../../src/mesh/reply.ts";
import { send } from "../../src/mesh/send.ts";
import { ORPHANED, sweep, sweepMailbox } from "../../src/mesh/sweep.ts";
import { clocksFollowDate, type Sleeper, sleeper, tempFolder, tempMesh } from "../mesh/temp-mesh.ts";

const DAY = 86_400_000;
const TERMS = { ...DEFAULTS, keep_unseen_days: 36_500, keep_dead_days: 36_500 };

interface Mail {
  unique: string;
  box: string;
  at: "new" | "cur" | "dead";
  flags: string;
  kind: "task" | "note" | "question" | "answer" | "bounce";
  from: string;
  expires: number;
  /** when it was last touched */
  since: number;
  shown: number;
}

interface Member {
  id: string;
  name: string;
  process: Sleeper;
  lives: boolean;
  left: number | undefined;
  session: string;
  previous: string[];
}

/** What ought to be, and what it takes to ask whether it is. */
class World {
  readonly home = tempMesh();
  readonly cwd = tempFolder();
  readonly mail: Mail[] = [];
  readonly members: Member[] = [];
  /** what collectors have in their hands */
  readonly hands: Letter[][] = [];
  readonly boxes = new Set(["you", "@late"]);
  /** questions that were shown, have no answer, and whose asker has not been told that none comes */
  readonly owed = new Set<Mail>();

  constructor() {
    for (const id of this.boxes) makeMailbox(join(this.home, "inbox", id));
    // Burials and bounces are dated by the kernel, which knows nothing of the days that pass here.
    writeFileSync(join(this.home, "config.json"), JSON.stringify(TERMS));
    look();
  }

  lying(box: string, at: Mail["at"]): Mail[] {
    return this.mail.filter((m) => m.box === box && m.at === at).sort((a, b) => (a.unique < b.unique ? -1 : 1));
  }
  find(box: string, unique: string): Mail {
    const found = this.mail.find((m) => m.box === box && m.unique === unique);
    if (!found) throw new Error(`${unique} is not known in ${box}`);
    return found;
  }
  add(mail: Omit<Mail, "at" | "flags" | "since" | "shown">): void {
    const since = Date.now();
    // As if the file had come at this hour.
    const when = new Date(since);
    utimesSync(newPath(join(this.home, "inbox", mail.box), mail.unique), when, when);
    this.mail.push({ ...mail, at: "new", flags: "", since, shown: 0 });
  }
  /** `mail` is told to its sender as not delivered, or not answered: that is one letter more. */
  bounced({ kind, from, unique }: Mail): void {
    if (kind === "bounce" || !this.boxes.has(from)) return;
    const dir = join(this.home, "inbox", from, "new");
    const told = readdirSync(dir).filter((name) => !this.mail.some((m) => m.unique === name && m.box === from));
    const bounce = told.find(
      (name) => parse(readFileSync(join(dir, name), "utf8"), name).inReplyTo === messageIdOf(unique),
    );
    expect(bounce, `a bounce of ${unique}`).toBeDefined();
    this.add({
      unique: bounce ?? "",
      box: from,
      kind: "bounce",
      from: "claudemesh",
      expires: Number.POSITIVE_INFINITY,
    });
  }
  dies(mail: Mail): void {
    mail.at = "dead";
    this.bounced(mail);
  }
  /** Whoever looks into a mailbox buries what is past its time. */
  looked(box: string): void {
    for (const mail of this.lying(box, "new")) if (mail.expires < Date.now()) this.dies(mail);
  }
  swept(box: string): void {
    const now = Date.now();
    for (const mail of this.lying(box, "cur")) if (mail.flags === "" && now - mail.since >= ORPHANED) mail.at = "new";
    for (const mail of this.lying(box, "cur"))
      if (mail.flags !== "" && now - mail.since >= TERMS.keep_seen_days * DAY) this.forget(mail);
    this.looked(box);
  }
  forget(mail: Mail): void {
    this.mail.splice(this.mail.indexOf(mail), 1);
    this.owed.delete(mail);
  }
  left(member: Member): void {
    member.left = Date.now();
    for (const mail of [...this.owed].filter((m) => m.box === member.id)) {
      this.owed.delete(mail);
      this.bounced(mail);
    }
  }
  /** What waited under a name comes to who has it now, but for what came to it by its id as well. */
  inherits(name: string, id: string): void {
    for (const mail of this.lying(`@${name}`, "new")) {
      if (this.mail.some((m) => m.box === id && m.unique === mail.unique && m.at !== "dead")) this.forget(mail);
      else mail.box = id;
    }
  }
  get live(): Member[] {
    return this.members.filter((m) => m.lives && m.left === undefined);
  }

  /** The folder is what the model says, to the last file. */
  check(): void {
    const now = new Map<string, string[]>();
    for (const box of readdirSync(join(this.home, "inbox")))
      now.set(box, [
        ...readdirSync(join(this.home, "inbox", box, "new")),
        ...readdirSync(join(this.home, "inbox", box, "cur")),
        ...readdirSync(join(this.home, "inbox", box, "tmp")).map((name) => `tmp/${name}`),
      ]);
    const names = (box: string) => [
      ...this.lying(box, "new").map((m) => m.unique),
      ...this.lying(box, "cur").map((m) => basename(curPath("", m.unique, m.flags))),
    ];
    expect(sorted(now)).toEqual(sorted(new Map([...this.boxes].map((box) => [box, names(box)]))));
    const dead = readdirSync(join(this.home, "dead/new")).map((name) => {
      const text = readFileSync(join(this.home, "dead/new", name), "utf8");
      return `${/^X-Mesh-Mailbox: (.*)$/m.exec(text)?.[1]} ${parse(text, name).id}`;
    });
    const buried = this.mail.filter((m) => m.at === "dead").map((m) => `${m.box} ${messageIdOf(m.unique)}`);
    expect(dead.sort()).toEqual(buried.sort());
    const { peers, broken } = readPeers();
    const said = peers.map((p) => ({ id: p.id, lives: isAlive(p), session: p.session_id, was: p.previous_sessions }));
    const known = this.members.map((m) => ({
      id: m.id,
      lives: this.live.includes(m),
      session: m.session,
      was: m.previous,
    }));
    expect([said.sort(byId), broken]).toEqual([known.sort(byId), []]);
    // Nobody has been shown a letter twice unless the one who had it in hand died.
    for (const mail of this.mail) expect(mail.shown, mail.unique).toBeLessThanOrEqual(1);
  }
  /** What others read without parsing is right whenever somebody has just come or gone. */
  checkLinks(): void {
    const linksIn = (dir: string) =>
      Object.fromEntries(
        readdirSync(join(this.home, dir)).map((n) => [n, basename(readlinkSync(join(this.home, dir, n)))]),
      );
    const alone = (key: "name" | "session") =>
      Object.fromEntries(
        this.live.filter((m) => this.live.every((o) => o === m || o[key] !== m[key])).map((m) => [m[key], m.id]),
      );
    expect(linksIn("to")).toEqual(alone("name"));
    // Nobody asks for the session of one whose death is not noticed yet.
    if (this.members.every((m) => m.lives || m.left !== undefined))
      expect(linksIn("sessions")).toEqual(alone("session"));
  }
}

const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1);
const sorted = (boxes: Map<string, string[]>) =>
  [...boxes].map(([box, names]) => [box, [...names].sort()]).sort(([a = ""], [b = ""]) => (a < b ? -1 : 1));

type Step = { says: string; run(world: World): Promise<void> | void };
const step = (says: string, run: Step["run"]): Step => ({ says, run, [fc.toStringMethod]: () => says }) as Step;
/** One of several by a number that the generator drew. */
const pick = <T>(from: T[], n: number): T | undefined => from[n % from.length];

const small = fc.nat(11);
const names = fc.constantFrom("api", "web", "late");
const sessions = fc.constantFrom("s1", "s2", "s3");

const steps: fc.Arbitrary<Step>[] = [
  fc
    .tuple(
      fc.array(small, { minLength: 1, maxLength: 3 }),
      small,
      fc.constantFrom("task", "note", "question"),
      fc.boolean(),
    )
    .map(([to, by, kind, isBrief]) =>
      step(`send ${kind} from ${by} to ${to}${isBrief ? ", 1 min" : ""}`, (world) => {
        const boxes = [...new Set(to.map((n) => pick([...world.boxes], n) ?? "you"))];
        const from =
          pick(
            [...world.boxes].filter((id) => !id.startsWith("@")),
            by,
          ) ?? "you";
        const address = (id: string) => ({ id, name: id, host: hostName() });
        const expires = isBrief ? new Date(Math.floor(Date.now() / 1000) * 1000 + 60_000) : undefined;
        const { unique } = send({
          from: address(from),
          to: boxes.map(address),
          body: "words",
          kind: kind as Mail["kind"],
          ...(expires ? { expires } : {}),
        });
        for (const box of boxes)
          world.add({
            unique,
            box,
            kind: kind as Mail["kind"],
            from,
            expires: expires?.getTime() ?? Number.POSITIVE_INFINITY,
          });
      }),
    ),
  fc.tuple(small, fc.integer({ min: 1, max: 4 }), fc.boolean()).map(([n, most, isPicky]) =>
    step(`take ${most} of ${n}${isPicky ? ", no notes" : ""}`, (world) => {
      const box = pick([...world.boxes], n) ?? "you";
      let room = most;
      const waiting = world.lying(box, "new");
      const taken = take(box, ({ message }) => {
        if (isPicky && message.kind === "note") return false;
        return room-- > 0 || "stop";
      });
      // It looks at one after the other, and no further than it takes. What bounces meanwhile comes after the look.
      const expected: Mail[] = [];
      for (const mail of waiting) {
        if (mail.expires < Date.now()) world.dies(mail);
        else if (isPicky && mail.kind === "note") continue;
        else if (expected.length < most) expected.push(mail);
        else break;
      }
      expect(taken.map(({ unique }) => unique)).toEqual(expected.map((mail) => mail.unique));
      for (const { unique } of taken) Object.assign(world.find(box, unique), { at: "cur", since: Date.now() });
      if (taken.length) world.hands.push(taken);
    }),
  ),
  small.map((n) =>
    step(`show and mark ${n}`, (world) => {
      const hand = pick(world.hands, n);
      if (!hand) return;
      world.hands.splice(world.hands.indexOf(hand), 1);
      const box = basename(join(hand[0]?.path ?? "", "../.."));
      markSeen(box, hand);
      for (const { unique } of hand) {
        const mail = world.mail.find((m) => m.box === box && m.unique === unique);
        if (!mail || mail.at === "dead") continue;
        // Put back meanwhile, for its collector seemed dead: it has been shown all the same.
        if (mail.at === "new") Object.assign(mail, { at: "cur", since: Date.now() });
        if (!mail.flags.includes("S")) mail.shown++;
        mail.flags = mail.flags.includes("R") ? "RS" : "S";
        if (mail.kind === "question" && box !== "you" && !mail.flags.includes("R")) world.owed.add(mail);
      }
    }),
  ),
  small.map((n) =>
    step(`put back ${n}`, (world) => {
      const hand = pick(world.hands, n);
      if (!hand) return;
      world.hands.splice(world.hands.indexOf(hand), 1);
      for (const { unique, path } of hand) {
        const box = basename(join(path, "../.."));
        const mail = world.mail.find((m) => m.box === box && m.unique === unique);
        const isUnseen = mail?.at === "cur" && mail.flags === "";
        expect(putBack(join(world.home, "inbox", box), unique)).toBe(isUnseen);
        if (mail && isUnseen) mail.at = "new";
      }
    }),
  ),
  small.map((n) =>
    step(`the collector ${n} dies`, (world) => {
      const hand = pick(world.hands, n);
      if (hand) world.hands.splice(world.hands.indexOf(hand), 1);
    }),
  ),
  small.map((n) =>
    step(`answer ${n}`, (world) => {
      const isHere = (m: Mail) => m.at !== "dead" && m.kind !== "bounce" && m.kind !== "answer";
      const canHear = (m: Mail) => m.from === "you" || world.members.some((p) => p.id === m.from);
      const mail = pick(
        world.mail.filter((m) => isHere(m) && canHear(m)),
        n,
      );
      if (!mail) return;
      const { unique } = reply(
        { id: mail.box, name: mail.box, host: hostName() },
        messageIdOf(mail.unique),
        `done at ${Date.now()}`,
        false,
      );
      world.add({ unique, box: mail.from, kind: "answer", from: mail.box, expires: Number.POSITIVE_INFINITY });
      if (mail.at === "new") mail.since = Date.now();
      // Whoever has it in hand finds it answered: it is not to be shown any more.
      mail.at = "cur";
      mail.flags = "RS";
      world.owed.delete(mail);
    }),
  ),
  fc
    .oneof(
      { weight: 3, arbitrary: fc.constant(20_000) },
      { weight: 2, arbitrary: fc.constant(70_000) },
      { weight: 1, arbitrary: fc.constant(15 * DAY) },
    )
    .map((ms) => step(`${ms} ms pass`, () => void vi.setSystemTime(Date.now() + ms))),
  small.map((n) =>
    step(`sweep mailbox ${n}`, (world) => {
      const box = pick([...world.boxes], n) ?? "you";
      sweepMailbox(box, TERMS);
      world.swept(box);
    }),
  ),
  fc.tuple(sessions, names).map(([session, name]) =>
    step(`${name} joins with ${session}`, async (world) => {
      const process = sleeper();
      const peer = await joinMesh({ pid: process.pid, cwd: world.cwd, name, session_id: session });
      const having = world.members.filter((m) => m.session === session || m.previous.includes(session));
      const isOpen = having.some((m) => m.session === session && world.live.includes(m));
      const gone = isOpen ? [] : having.filter((m) => !world.live.includes(m)).sort(byId);
      const heir = gone.find((m) => m.session === session) ?? gone[0];
      if (heir) {
        expect(peer.id).toBe(heir.id);
        const previous =
          heir.session === session ? heir.previous : [...heir.previous.filter((s) => s !== heir.session), heir.session];
        Object.assign(heir, { process, name, lives: true, left: undefined, session, previous });
      } else {
        expect(world.members.map((m) => m.id)).not.toContain(peer.id);
        world.members.push({ id: peer.id, name, process, lives: true, left: undefined, session, previous: [] });
        world.boxes.add(peer.id);
      }
      world.inherits(name, peer.id);
      world.checkLinks();
    }),
  ),
  fc.tuple(small, sessions).map(([n, session]) =>
    step(`${n} opens ${session} in its place`, async (world) => {
      const member = pick(world.live, n);
      if (!member || member.session === session) return;
      await joinMesh({ pid: member.process.pid, cwd: world.cwd, name: member.name, session_id: session });
      member.previous = [...member.previous.filter((s) => s !== member.session), member.session];
      member.session = session;
      world.inherits(member.name, member.id);
      world.checkLinks();
    }),
  ),
  small.map((n) =>
    step(`${n} leaves`, async (world) => {
      const member = pick(world.live, n);
      if (!member) return;
      await leave(member.id, member.process.pid);
      world.left(member);
      world.checkLinks();
    }),
  ),
  small.map((n) =>
    step(`${n} dies`, async (world) => {
      const member = pick(world.live, n);
      if (!member) return;
      await member.process.kill();
      member.lives = false;
    }),
  ),
  fc.constant(
    step("deaths are noticed", async (world) => {
      await noticeDeaths();
      for (const member of world.members.sort(byId)) if (!member.lives && member.left === undefined) world.left(member);
      world.checkLinks();
    }),
  ),
  fc.constant(
    step("everything is swept", async (world) => {
      await noticeDeaths();
      for (const member of world.members.sort(byId)) if (!member.lives && member.left === undefined) world.left(member);
      await sweep();
      for (const box of [...world.boxes].sort()) world.swept(box);
      for (const member of [...world.members]) {
        const isOver = member.left !== undefined && Date.now() - member.left >= TERMS.keep_gone_days * DAY;
        const keeps = world.mail.some(
          (m) => m.box === member.id && (m.at === "new" || (m.at === "cur" && m.flags === "")),
        );
        if (!isOver || keeps) continue;
        world.members.splice(world.members.indexOf(member), 1);
        world.boxes.delete(member.id);
        for (const mail of world.mail.filter((m) => m.box === member.id && m.at === "cur")) world.forget(mail);
      }
      world.checkLinks();
    }),
  ),
];

afterEach(() => void vi.useRealTimers());

it("any order of send, take, show, put back, answer, expire, sweep, join, resume, leave and die leaves what the model says", {
  timeout: 120_000,
}, async () => {
  clocksFollowDate();
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(...steps), { minLength: 1, maxLength: 60, size: "max" }), async (script) => {
      vi.useFakeTimers({ toFake: ["Date"] });
      const world = new World();
      try {
        for (const one of script) {
          await one.run(world);
          world.check();
          vi.setSystemTime(Date.now() + 1000);
        }
      } finally {
        vi.useRealTimers();
        for (const { process } of world.members) await process.kill();
      }
    }),
    {
      numRuns: Number(process.env.CLAUDEMESH_TEST_RUNS ?? 150),
      ...(process.env.CLAUDEMESH_TEST_SEED ? { seed: Number(process.env.CLAUDEMESH_TEST_SEED) } : {}),
    },
  );
});
