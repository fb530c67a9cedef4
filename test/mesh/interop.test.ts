// Other people's mail programs at our files, and other people's files in our mailbox.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { bury } from "../../src/mesh/dead.ts";
import { bellOf, collect, mark, newPath } from "../../src/mesh/maildir.ts";
import { markSeen } from "../../src/mesh/owed.ts";
import { peek, take } from "../../src/mesh/receive.ts";
import { send } from "../../src/mesh/send.ts";
import { until } from "../temp-home.ts";
import { box, draft, letter, tempMesh } from "./temp-mesh.ts";

const output = (command: string, ...args: string[]) =>
  execFileSync(command, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 60_000,
    env: { ...process.env, LC_ALL: "C.UTF-8" },
  });
const has = (command: string) => {
  try {
    output("sh", "-c", `command -v ${command}`);
    return true;
  } catch {
    return false;
  }
};

/** The folder of mblaze's programs: on PATH, else Debian's package unpacked into the cache; else why there is none. */
function mblaze(): { bin: string } | { missing: string } {
  if (has("mlist")) return { bin: dirname(output("sh", "-c", "command -v mlist").trim()) };
  const cache = fileURLToPath(new URL("../../node_modules/.cache/claudemesh", import.meta.url));
  const bin = join(cache, "mblaze/usr/bin");
  if (existsSync(join(bin, "mlist"))) return { bin };
  if (!has("apt-get") || !has("dpkg-deb")) return { missing: "no mlist on PATH, and no apt-get to fetch it with" };
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, "fetch-"));
  try {
    output("sh", "-c", `cd '${work}' && apt-get download mblaze && dpkg-deb -x mblaze_*.deb mblaze`);
    if (!existsSync(join(bin, "mlist"))) renameSync(join(work, "mblaze"), join(cache, "mblaze"));
    output(join(bin, "mlist"), "/nonexistent");
    return { bin };
  } catch (error) {
    return { missing: `mblaze can't be had: ${String((error as Error).message).split("\n")[0]}` };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const words = "naïve — ✓ 🙂\n\nFrom here\n.\n  end";
/** A mailbox with one letter in new/, one seen, one answered. */
function filled(home: string) {
  const api = box(home, "api");
  const { id: _, ...order } = draft({
    from: { name: 'Größe, "eins"', id: "a8d0m2kq", host: "laptop" },
    subject: "größer ✉",
    kind: "question",
    body: words,
  });
  const at = [{ id: "api", name: "api", host: "laptop" }];
  const [seen, answered, fresh] = [1, 2, 3].map(() => send({ ...order, to: at }).unique) as [string, string, string];
  for (const unique of [seen, answered]) collect(api, unique);
  mark(api, seen, "S");
  mark(api, answered, "RS");
  return { api, seen, answered, fresh };
}

describe.runIf(has("python3"))("Python's mailbox and email", () => {
  const python = (code: string, ...args: string[]) => JSON.parse(output("python3", "-c", code, ...args)) as unknown;
  const reader = `
import sys, json, mailbox, email, email.policy
box = mailbox.Maildir(sys.argv[1], factory=None, create=False)
out = []
for key in sorted(box.keys()):
    raw = box.get_bytes(key)
    m = email.message_from_bytes(raw, policy=email.policy.SMTPUTF8)
    kept = box.get_message(key)
    out.append({"key": key, "subdir": kept.get_subdir(), "flags": kept.get_flags(), "from": m["From"].addresses[0].addr_spec,
      "name": m["From"].addresses[0].display_name.encode("utf-8", "surrogateescape").decode(), "to": m["To"].addresses[0].addr_spec, "subject": m["Subject"],
      "id": m["Message-ID"], "kind": m["X-Mesh-Kind"], "date": m["Date"].datetime.isoformat(), "type": m.get_content_type(),
      "body": m.get_content(), "defects": [repr(d) for d in m.defects]})
print(json.dumps(out))`;

  it("read a mailbox of ours: keys, folders, flags, headers, body", () => {
    const { api, seen, answered, fresh } = filled(tempMesh());
    const read = python(reader, api) as Record<string, unknown>[];
    expect(read.map((m) => [m.key, m.subdir, m.flags])).toEqual([
      [seen, "cur", "S"],
      [answered, "cur", "RS"],
      [fresh, "new", ""],
    ]);
    for (const m of read)
      expect(m).toMatchObject({
        from: "a8d0m2kq@laptop",
        name: 'Größe, "eins"',
        to: "api@laptop",
        subject: "größer ✉",
        id: `<${m.key}@claudemesh>`,
        kind: "question",
        type: "text/plain",
        body: `${words}\n`,
        defects: [],
      });
    expect(read.every((m) => /^\d{4}-.*\+00:00$/.test(String(m.date)))).toBe(true);
  });

  it("read dead/ as a Maildir of its own, with the reason as a header", () => {
    const home = tempMesh();
    const api = box(home, "api");
    const unique = letter(api, { body: words });
    bury(newPath(api, unique), unique, "refused: no");
    const code = `
import sys, json, mailbox
m = mailbox.Maildir(sys.argv[1], create=False).get_message(sys.argv[2])
print(json.dumps([m.keys()[0], m["X-Mesh-Dead"], m.get_payload(decode=True).decode()]))`;
    expect(python(code, join(home, "dead"), unique)).toEqual(["X-Mesh-Dead", "refused: no", `${words}\n`]);
  });

  it("deliver to a mailbox of ours: the letter arrives", async () => {
    const api = box(tempMesh(), "api");
    const code = `
import sys, json, mailbox
from email.message import EmailMessage
m = EmailMessage()
m["From"] = "web <a8d0m2kq@laptop>"
m["Subject"] = "from python, with a subject that is long enough to be folded by the library that writes it"
m["X-Mesh-Kind"] = "note"
m.set_content("one\\ntwo\\n", cte="8bit")
print(json.dumps(mailbox.Maildir(sys.argv[1], create=False).add(m)))`;
    python(code, api);
    const letters = await until(() => peek("api").letters.length && take("api", () => true), "the letter");
    expect(letters.map((l) => l.message)).toMatchObject([
      {
        from: { name: "web", id: "a8d0m2kq", host: "laptop" },
        subject: "from python, with a subject that is long enough to be folded by the library that writes it",
        kind: "note",
        body: "one\ntwo",
      },
    ]);
    markSeen("api", letters);
    expect(readdirSync(join(api, "cur"))[0]).toMatch(/:2,S$/);
  });
});

describe("a shell script", () => {
  it("that writes to tmp/ and moves to new/ sends a letter, by the name in to/", async () => {
    const home = tempMesh();
    const api = box(home, "api");
    output("sh", "-c", `cd '${home}/to' && ln -s ../inbox/api api`);
    output("sh", "-c", `cd '${home}/to/api/' && echo 'deploy finished' > tmp/$$ && mv tmp/$$ new/ && date > bell`);
    expect(existsSync(bellOf(api))).toBe(true);
    const letters = await until(() => peek("api").letters.length && take("api", () => true), "the letter");
    expect(letters.map((l) => l.message)).toMatchObject([
      { body: "deploy finished", kind: "task", from: undefined, subject: "deploy finished" },
    ]);
    markSeen("api", letters);
    expect(readdirSync(join(api, "new"))).toEqual([]);
    expect(readdirSync(join(api, "cur"))[0]).toMatch(/:2,S$/);
  });

  it("that copies a file straight into new/ sends it", async () => {
    const home = tempMesh();
    const api = box(home, "api");
    writeFileSync(join(home, "note.txt"), "Subject: hello\nX-Mesh-Kind: note\n\nwords\n");
    output("cp", join(home, "note.txt"), join(api, "new"));
    const [found] = await until(() => peek("api").letters.length && peek("api").letters, "the letter");
    expect(found?.message).toMatchObject({ subject: "hello", kind: "note", body: "words" });
  });

  it("`cat` and `grep` read a letter as it lies", () => {
    const { api, fresh } = filled(tempMesh());
    expect(output("cat", newPath(api, fresh))).toContain(`\n\n${words}\n`);
    expect(output("grep", "^Subject:", newPath(api, fresh))).toBe("Subject: größer ✉\n");
  });
});

const blaze = mblaze();
describe.runIf("bin" in blaze)(`mblaze ${"missing" in blaze ? `(left out: ${blaze.missing})` : ""}`, () => {
  const run = (tool: string, ...args: string[]) => output(join("bin" in blaze ? blaze.bin : "", tool), ...args);
  const lines = (text: string) => text.split("\n").filter(Boolean).sort();

  it("lists what is new and what was seen", () => {
    const { api, seen, answered, fresh } = filled(tempMesh());
    expect(lines(run("mlist", api))).toEqual(
      [newPath(api, fresh), join(api, "cur", `${seen}:2,S`), join(api, "cur", `${answered}:2,RS`)].sort(),
    );
    expect(lines(run("mlist", "-N", api))).toEqual([newPath(api, fresh)]);
    expect(lines(run("mlist", "-R", api))).toEqual([join(api, "cur", `${answered}:2,RS`)]);
  });

  it("shows a letter: headers and body", () => {
    const { api, fresh } = filled(tempMesh());
    const path = newPath(api, fresh);
    expect(run("mhdr", "-h", "subject", path).trim()).toBe("größer ✉");
    expect(run("mhdr", "-h", "x-mesh-kind", path).trim()).toBe("question");
    expect(run("mhdr", "-h", "message-id", path).trim()).toBe(`<${fresh}@claudemesh>`);
    expect(run("maddr", "-a", "-h", "from", path).trim()).toBe("a8d0m2kq@laptop");
    expect(run("mshow", path)).toContain(words);
  });

  it("takes mail in and flags it, and we read what it left", () => {
    const { api, fresh } = filled(tempMesh());
    expect(run("minc", api).trim()).toContain(`cur/${fresh}:2,`);
    run("mflag", "-S", join(api, "cur", `${fresh}:2,`));
    expect(readdirSync(join(api, "cur"))).toContain(`${fresh}:2,S`);
    expect(peek("api").letters).toEqual([]);
  });
});
