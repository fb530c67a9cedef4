// A disk that fails to flush can't be had for real: node:fs is real here, save for a fsync that fails when told to.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, it, vi } from "vitest";
import { createFile, replaceFile } from "../../src/mesh/files.ts";
import { deliver, listNew } from "../../src/mesh/maildir.ts";
import { compose, uniqueName } from "../../src/mesh/message.ts";
import { send } from "../../src/mesh/send.ts";
import { box, draft, tempFolder, tempMesh, thrownBy } from "./temp-mesh.ts";

const disk = vi.hoisted(() => ({ failing: [] as (string | undefined)[] }));
vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  return {
    ...fs,
    fsyncSync(fd: number) {
      const code = disk.failing.shift();
      if (code) throw Object.assign(new Error(`${code}: fsync`), { code });
      fs.fsyncSync(fd);
    },
  };
});

beforeEach(() => {
  disk.failing = [];
});

it("createFile leaves nothing behind when the flush fails", () => {
  const folder = tempFolder();
  disk.failing = ["EIO"];
  expect(thrownBy(() => createFile(join(folder, "x"), "text"))).toMatchObject({ code: "EIO" });
  expect(readdirSync(folder)).toEqual([]);
});

it("replaceFile leaves the old text and nothing else when the flush fails", () => {
  const folder = tempFolder();
  createFile(join(folder, "x"), "old");
  disk.failing = ["ENOSPC"];
  expect(thrownBy(() => replaceFile(join(folder, "x"), "new"))).toMatchObject({ code: "ENOSPC" });
  expect(readdirSync(folder)).toEqual(["x"]);
});

it("deliver leaves nothing behind when the letter can't be flushed", () => {
  const api = box(tempMesh(), "api");
  disk.failing = ["EIO"];
  expect(thrownBy(() => deliver(api, uniqueName(), compose(draft())))).toMatchObject({ code: "EIO" });
  expect([readdirSync(join(api, "tmp")), listNew(api)]).toEqual([[], []]);
});

it("deliver that fails because new/ can't be flushed has delivered nothing", () => {
  const api = box(tempMesh(), "api");
  disk.failing = [undefined, "EIO"];
  expect(thrownBy(() => deliver(api, uniqueName(), compose(draft())))).toMatchObject({ code: "EIO" });
  expect([readdirSync(join(api, "tmp")), listNew(api)]).toEqual([[], []]);
});

it("a file system that knows no flush of directories (EINVAL) takes letters", () => {
  const api = box(tempMesh(), "api");
  disk.failing = [undefined, "EINVAL"];
  const unique = uniqueName();
  deliver(api, unique, compose(draft()));
  expect(listNew(api)).toEqual([unique]);
});

it("send says TRY_AGAIN of a full disk and FAILED of a broken one, and delivers to the others", () => {
  const home = tempMesh();
  const to = ["api", "db"].map((id) => ({ id, name: id, host: "h" }));
  const { id: _, ...order } = draft();
  disk.failing = ["ENOSPC"];
  const full = thrownBy(() => send({ ...order, to }));
  expect(full).toMatchObject({ code: "TRY_AGAIN" });
  expect(full.message).toContain("api");
  expect(full.message).not.toContain("db");
  expect(listNew(join(home, "inbox", "api"))).toEqual([]);
  expect(listNew(join(home, "inbox", "db"))).toHaveLength(1);
  expect(full.hint).toContain(listNew(join(home, "inbox", "db"))[0]);
  disk.failing = ["EROFS"];
  expect(thrownBy(() => send({ ...order, to }))).toMatchObject({ code: "FAILED" });
});
