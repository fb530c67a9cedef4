// Our own files and words when somebody else wrote them: peer files, config.json, addresses.

import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import fc from "fast-check";
import { expect } from "vitest";
import { describe as stateWord } from "../../src/claude/dispatch.ts";
import { rowsOf, table } from "../../src/claude/roster.ts";
import { jsonText, printable } from "../../src/clean.ts";
import { MeshError } from "../../src/errors.ts";
import { findPeer, resolveAddress } from "../../src/mesh/address.ts";
import { BELLS, DEFAULTS, safeConfig } from "../../src/mesh/config.ts";
import { readConfig } from "../../src/mesh/config-file.ts";
import { configFile, mailbox } from "../../src/mesh/home.ts";
import { noticeDeaths, publish } from "../../src/mesh/join.ts";
import { hostName } from "../../src/mesh/message.ts";
import { peerOfProcess, readPeers } from "../../src/mesh/peers.ts";
import { bootId, startedAt } from "../../src/mesh/process.ts";
import { projectOf } from "../../src/mesh/project.ts";
import { tempFolder, tempMesh } from "../mesh/temp-mesh.ts";
import { fuzz } from "./fuzz.ts";
import { hostileText, isShowable, mutated, TRAPS } from "./hostile.ts";

const meshErrorOf = (action: () => unknown): string => {
  try {
    action();
    return "";
  } catch (error) {
    if (error instanceof MeshError) return `${error.message}\n${error.hint ?? ""}`;
    throw error;
  }
};

const word = fc.oneof(fc.constantFrom(...TRAPS), hostileText(3));
const odd = fc.oneof(word, fc.constantFrom<unknown>(null, true, [], {}, -1, 0, 1, 1e300, 0.5, "", "x".repeat(5000)));
const peer = fc
  .record({ field: fc.dictionary(fc.constantFrom("name", "cwd", "branch", "repo", "summary", "session_id"), word) })
  .chain(({ field }) =>
    fc
      .dictionary(
        fc.constantFrom(
          "id",
          "host",
          "boot",
          "pid",
          "pid_started",
          "started_at",
          "left_at",
          "previous_sessions",
          "mcp",
        ),
        odd,
        { maxKeys: 2 },
      )
      .map((more) => ({ ...field, ...more })),
  );

fuzz<{ file: string; fields: Record<string, unknown>; text?: string; who: string }>(3, {
  name: "peers",
  inputs: fc.record(
    {
      file: fc.constantFrom("x", "aaaa1111", "..", "you", "a.b", "__proto__"),
      fields: peer,
      text: mutated([Buffer.from('{"id":"x","name":"x","cwd":"/","pid":1}')]).map(String),
      who: word,
    },
    { requiredKeys: ["file", "fields", "who"] },
  ),
  start() {
    const home = tempMesh();
    return async ({ file, fields, text, who }) => {
      for (const room of ["peers", "inbox", "to", "sessions"]) {
        rmSync(join(home, room), { recursive: true, force: true });
        mkdirSync(join(home, room));
      }
      const whole = {
        ...{ id: file, name: "api", cwd: "/", host: hostName(), boot: bootId(), pid: process.pid },
        ...{ pid_started: startedAt(process.pid), started_at: new Date().toISOString(), ...fields },
      };
      writeFileSync(join(home, "peers", `${file}.json`), text ?? JSON.stringify(whole));
      const { peers, broken } = readPeers();
      expect(peers.length + broken.length).toBe(1);
      const rows = rowsOf(peers);
      const printed = printable(table(rows));
      expect(printed.split("\n").length).toBe(1);
      expect(printed).not.toMatch(/(?!\t)\p{Cc}|[\u2028-\u202e]/u);
      isShowable(jsonText(rows, 1), "list_instances");
      const hint = printable(meshErrorOf(() => findPeer(who, { describe: stateWord })));
      expect(hint.split("\n").length).toBeLessThanOrEqual(2 + peers.length + (who.split("\n").length - 1));
      publish();
      await noticeDeaths();
      peerOfProcess(process.pid, who);
      // Nothing was made outside.
      expect(readdirSync(join(home, "..")).sort()).toEqual([".claudemesh"]);
    };
  },
});

fuzz<{ to: string; name: string; head: string }>(3, {
  name: "addresses",
  inputs: fc.record({ to: word, name: word, head: word }),
  start() {
    const home = tempMesh();
    const repo = tempFolder();
    mkdirSync(join(repo, ".git"));
    return ({ to, name, head }) => {
      for (const queue of [false, true])
        meshErrorOf(() => {
          for (const { id } of resolveAddress(to, { queue })) {
            const inside = relative(join(home, "inbox"), mailbox(id));
            expect(inside.startsWith("..") && !inside.startsWith("...")).toBe(false);
            expect(inside).not.toMatch(/[/\0]/);
          }
        });
      writeFileSync(join(repo, ".claudemesh.json"), JSON.stringify({ name }));
      writeFileSync(join(repo, ".git", "HEAD"), head);
      const project = projectOf(repo);
      for (const value of [project.name, project.branch]) expect(value ?? "").not.toMatch(/\p{Cc}/u);
      projectOf(join(repo, to.replaceAll("\0", "")));
      projectOf(to);
      expect(existsSync(join(home, "inbox", to.replaceAll(/[/\0]/g, "-").slice(0, 50) || "none", "new"))).toBe(false);
    };
  },
});

const keys = [...Object.keys(DEFAULTS), "__proto__", "other"];
const value = fc.oneof(odd, fc.constantFrom<unknown>("never", "body", ["hooks"], [], BELLS, 7, 1024, 1e10));
fuzz<string>(3, {
  name: "config",
  inputs: fc.oneof(
    fc.dictionary(fc.constantFrom(...keys), value, { noNullPrototype: true }).map((given) => JSON.stringify(given)),
    mutated([Buffer.from(JSON.stringify(DEFAULTS))]).map(String),
  ),
  fromFile: String,
  start() {
    tempMesh();
    return (text) => {
      writeFileSync(configFile(), text);
      const { problems } = readConfig();
      for (const problem of problems) expect(problem).not.toMatch(/\p{Cc}/u);
      const config = safeConfig();
      expect(["auto", "body", "sentinel", "never"]).toContain(config.inject);
      expect(config.bells.every((bell) => BELLS.includes(bell))).toBe(true);
      expect(typeof config.notify).toBe("boolean");
      for (const key of ["keep_seen_days", "keep_unseen_days", "keep_dead_days", "keep_gone_days"] as const)
        expect(config[key] === Number.POSITIVE_INFINITY || (config[key] >= 0 && config[key] <= 36_500)).toBe(true);
      expect(config.log_bytes).toBeGreaterThanOrEqual(1024);
    };
  },
});
