import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { curPath, newPath } from "../../src/mesh/maildir.ts";
import { compose, messageIdOf, uniqueName } from "../../src/mesh/message.ts";
import { threadIn } from "../../src/mesh/thread.ts";
import { box, draft, letter, tempMesh } from "./temp-mesh.ts";

const bodies = (id: string, of: string) => threadIn(id, of).map(({ message }) => message.body);
/** A unique name of `seconds` ago. */
const ago = (seconds: number) => uniqueName().replace(/^\d+/, (now) => String(Number(now) - seconds));
const seen = (api: string, unique: string, body: string, of: string[] = []) => {
  const references = of.map(messageIdOf);
  const inReplyTo = references.at(-1);
  const fields = { body, references, ...(inReplyTo ? { inReplyTo } : {}) };
  writeFileSync(curPath(api, unique, "S"), compose(draft(fields, unique)));
};

it("a thread goes on over days; any of its letters stands for it, and so does one's own that lies elsewhere", () => {
  const api = box(tempMesh(), "api");
  const [root, second, mine, last] = [ago(400_000), ago(300_000), ago(200_000), uniqueName()];
  seen(api, ago(350_000), "another matter");
  seen(api, root, "root");
  seen(api, second, "second", [root]);
  writeFileSync(
    newPath(api, last),
    compose(draft({ body: "last", references: [root, mine].map(messageIdOf), inReplyTo: messageIdOf(mine) }, last)),
  );
  for (const of of [root, second, mine, last]) {
    expect(bodies("api", of), of).toEqual(["root", "second", "last"]);
    expect(bodies("api", messageIdOf(of)), of).toEqual(["root", "second", "last"]);
  }
});

it("a thread that began with another program's file is found whole, however that is named", () => {
  const api = box(tempMesh(), "api");
  seen(api, "hello", "root");
  seen(api, ago(10), "reply", ["hello"]);
  expect(bodies("api", "hello")).toEqual(["reply", "root"]);
});

it.each(["../../../etc/passwd", "a/b", "", " ", "\n"])("%j is no message, and no path", (id) => {
  letter(box(tempMesh(), "api"));
  expect(bodies("api", id)).toEqual([]);
});

const bytesRead = () => Number(/^rchar: (\d+)$/m.exec(readFileSync("/proc/self/io", "utf8"))?.[1]);

it.skipIf(process.platform !== "linux")("letters older than the thread are not opened", () => {
  const api = box(tempMesh(), "api");
  for (let n = 0; n < 100; n++) seen(api, ago(100_000 + n), "x".repeat(100_000));
  const root = uniqueName();
  seen(api, root, "root");
  const before = bytesRead();
  expect(bodies("api", root)).toEqual(["root"]);
  expect(bytesRead() - before).toBeLessThan(100_000);
  expect(readFileSync(join(curPath(api, root, "S")), "utf8")).toContain("root");
});
