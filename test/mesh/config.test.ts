import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { BELLS, DEFAULTS, readConfig } from "../../src/mesh/config.ts";
import { tempMesh, thrownBy } from "./temp-mesh.ts";

const write = (text: string) => writeFileSync(join(tempMesh(), "config.json"), text);

it("no file is all defaults: seen 14 days, unseen 30, dead 30, gone 14", () => {
  tempMesh({ open: false });
  expect(readConfig()).toEqual(DEFAULTS);
  expect(DEFAULTS).toMatchObject({
    inject: "auto",
    bells: BELLS,
    keep_seen_days: 14,
    keep_unseen_days: 30,
    keep_dead_days: 30,
    keep_gone_days: 14,
  });
});

it("what is given counts, the rest is default", () => {
  write('{"inject":"never","bells":["hooks"],"notify":false,"keep_seen_days":0,"log_bytes":2048}');
  expect(readConfig()).toEqual({
    ...DEFAULTS,
    inject: "never",
    bells: ["hooks"],
    notify: false,
    keep_seen_days: 0,
    log_bytes: 2048,
  });
});

it("a key of a later version does no harm", () => {
  write('{"colour":"blue"}');
  expect(readConfig()).toMatchObject({ ...DEFAULTS });
});

it.each([
  ["inject", '"sometimes"'],
  ["inject", "null"],
  ["bells", '["bell"]'],
  ["bells", '"hooks"'],
  ["notify", '"yes"'],
  ["keep_seen_days", '"14"'],
  ["keep_unseen_days", "-1"],
  ["keep_dead_days", "null"],
  ["keep_gone_days", "36501"],
  ["log_bytes", "10"],
])('"%s": %s is refused by name, with what it must be', (key, value) => {
  write(`{"${key}": ${value}}`);
  const error = thrownBy(readConfig);
  expect(error).toMatchObject({ code: "BAD_CONFIG" });
  expect(error.message).toMatch(new RegExp(`config\\.json: "${key}" must be .+`));
  expect(error.hint).toBeTruthy();
});

it.each(["", "{", "[]", "null", "7", '"x"'])("a file of %j is refused, naming the file", (text) => {
  write(text);
  const error = thrownBy(readConfig);
  expect(error).toMatchObject({ code: "BAD_CONFIG" });
  expect(error.message).toContain("config.json");
  expect(error.hint).toBeTruthy();
});
