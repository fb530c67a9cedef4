import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BELLS, type Config, DEFAULTS, safeConfig } from "../../src/mesh/config.ts";
import { CAREFUL, readConfig } from "../../src/mesh/config-file.ts";
import { log } from "../../src/mesh/log.ts";
import { inNode, tempMesh } from "./temp-mesh.ts";

const write = (text: string) => {
  const home = tempMesh();
  writeFileSync(join(home, "config.json"), text);
  return home;
};
const logged = (home: string) => {
  const lines = readFileSync(join(home, "log"), "utf8").split("\n");
  return lines.filter((line) => line.includes(" config-error "));
};

it("no file is all defaults: seen 14 days, unseen 30, dead 30, gone 14", () => {
  tempMesh({ open: false });
  expect(readConfig()).toEqual({ config: DEFAULTS, problems: [] });
  expect(DEFAULTS).toMatchObject({
    inject: "auto",
    bells: BELLS,
    keep_seen_days: 14,
    keep_unseen_days: 30,
    keep_dead_days: 30,
    keep_gone_days: 14,
  });
});

it("the careful values type nothing, notify nobody, delete nothing, and wake nobody; mail still comes with the next turn", () => {
  expect(CAREFUL).toEqual({
    inject: "never",
    bells: ["hooks"],
    notify: false,
    keep_seen_days: Number.POSITIVE_INFINITY,
    keep_unseen_days: Number.POSITIVE_INFINITY,
    keep_dead_days: Number.POSITIVE_INFINITY,
    keep_gone_days: Number.POSITIVE_INFINITY,
    log_bytes: 64 * 1024 * 1024,
  });
});

it("what is given counts, the rest is default", () => {
  write('{"inject":"never","bells":["hooks"],"notify":false,"keep_seen_days":0,"log_bytes":2048}');
  const given = { inject: "never", bells: ["hooks"], notify: false, keep_seen_days: 0, log_bytes: 2048 };
  expect(readConfig()).toEqual({ config: { ...DEFAULTS, ...given }, problems: [] });
});

it("a byte order mark before it is no fault", () => {
  write('\ufeff{"inject":"never"}');
  expect(readConfig()).toEqual({ config: { ...DEFAULTS, inject: "never" }, problems: [] });
});

it.each<[keyof Config, string]>([
  ["inject", '"sometimes"'],
  ["inject", "null"],
  ["bells", '["bell"]'],
  ["bells", '["hooks","bell"]'],
  ["bells", '"hooks"'],
  ["notify", '"yes"'],
  ["notify", "0"],
  ["keep_seen_days", '"14"'],
  ["keep_seen_days", "1e400"],
  ["keep_unseen_days", "-1"],
  ["keep_dead_days", "null"],
  ["keep_gone_days", "36501"],
  ["log_bytes", "10"],
])(
  '"%s": %s has that key\'s careful value, is said with what it must be, and leaves the other keys as they are',
  (key, value) => {
    const others = { inject: "body", bells: ["inbox"], notify: false, keep_seen_days: 3650, keep_dead_days: 2 };
    const rest = Object.fromEntries(Object.entries(others).filter(([name]) => name !== key));
    write(`${JSON.stringify(rest).slice(0, -1)}, "${key}": ${value}}`);
    const { config, problems } = readConfig();
    expect(config).toEqual({ ...DEFAULTS, ...rest, [key]: CAREFUL[key] });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`config\\.json: "${key}" must be .+; as long as it is so, .+`));
  },
);

describe("a key that does not exist", () => {
  it.each<[string, keyof Config]>([
    ["notfy", "notify"],
    ["Notify", "notify"],
    ["injcet", "inject"],
    ["bell", "bells"],
    ["keepSeenDays", "keep_seen_days"],
    ["keep-unseen-days", "keep_unseen_days"],
    ["keep_dead_day", "keep_dead_days"],
    ["log_byte", "log_bytes"],
  ])("%s is said with the one that is perhaps meant, which has its careful value", (key, meant) => {
    write(JSON.stringify({ [key]: false }));
    const { config, problems } = readConfig();
    expect(config).toEqual({ ...DEFAULTS, [meant]: CAREFUL[meant] });
    expect(problems).toMatchObject([expect.stringContaining(`no key "${key}", perhaps "${meant}" is meant`)]);
  });

  it("close to one that is there changes nothing of it", () => {
    write('{"notify":true,"notfy":false}');
    expect(readConfig()).toMatchObject({ config: DEFAULTS, problems: [expect.stringContaining('"notfy"')] });
  });

  it.each(["colour", "keep", "x", "toString", "__proto__", "", "é".repeat(5000)])(
    "as %j is said and does no harm",
    (key) => {
      write(`{${JSON.stringify(key)}: 1}`);
      const { config, problems } = readConfig();
      expect(config).toEqual(DEFAULTS);
      expect(problems).toMatchObject([expect.stringContaining("there is no key")]);
      expect(problems[0]?.length).toBeLessThan(300);
    },
  );
});

describe("a file that can't be read", () => {
  it.each(["", "{", '{"inject":"never",}', "[]", "null", "7", '"x"', "{\n\u0007\n}"])(
    "as %j has all careful values and is named in one line",
    (text) => {
      write(text);
      const { config, problems } = readConfig();
      expect(config).toEqual(CAREFUL);
      expect(problems).toMatchObject([expect.stringMatching(/^can't read .*config\.json: [^\n]+$/)]);
    },
  );

  it.each<[string, (file: string) => void]>([
    ["a folder", (file) => mkdirSync(file)],
    ["a pipe that nobody writes to", (file) => void execFileSync("mkfifo", [file])],
    ["a device without end", (file) => symlinkSync("/dev/zero", file)],
    ["a link that leads nowhere", (file) => symlinkSync("/nowhere/config.json", file)],
    ["a link to itself", (file) => symlinkSync(file, file)],
    ["too large", (file) => writeFileSync(file, `{"x":"${"x".repeat(1024 * 1024)}"}`)],
  ])("for it is %s has all careful values", (_, make) => {
    make(join(tempMesh(), "config.json"));
    expect(readConfig()).toMatchObject({ config: CAREFUL, problems: [expect.stringContaining("config.json")] });
  });

  it.runIf(process.getuid?.() === 0)("for want of rights has all careful values", async () => {
    const home = write('{"inject":"auto"}');
    chmodSync(join(home, "config.json"), 0o600);
    execFileSync("chown", ["1:1", home]);
    execFileSync("chmod", ["755", join(home, "..")]);
    const read = `const { readConfig } = await mesh("config-file"); done(readConfig().config.inject);`;
    expect(await inNode(read, { uid: 1 })).toBe("never");
  });
});

it("is read anew each time: what was corrected holds at once", () => {
  const home = write('{"inject":');
  expect(safeConfig().inject).toBe("never");
  writeFileSync(join(home, "config.json"), '{"inject":"body"}');
  expect(safeConfig().inject).toBe("body");
  rmSync(join(home, "config.json"));
  expect(safeConfig()).toEqual(DEFAULTS);
});

describe("the log", () => {
  it("has what is wrong once for each state of the file, however often it is read", () => {
    const home = write('{"injct":"never","bells":"x"}');
    for (let n = 0; n < 5; n++) safeConfig();
    expect(logged(home)).toHaveLength(2);
    expect(logged(home)[0]).toContain('"bells"');
    writeFileSync(join(home, "config.json"), '{"bells":"x"}');
    for (let n = 0; n < 5; n++) safeConfig();
    expect(logged(home)).toHaveLength(3);
    writeFileSync(join(home, "config.json"), "{}");
    safeConfig();
    writeFileSync(join(home, "config.json"), '{"bells":"x"}');
    for (let n = 0; n < 5; n++) safeConfig();
    expect(logged(home)).toHaveLength(4);
  });

  it("is written all the same where it is over its size and the file can't be read", () => {
    const home = write("{");
    writeFileSync(join(home, "log"), "x".repeat(2 * 1024 * 1024));
    log("send");
    expect(readFileSync(join(home, "log"), "utf8")).toMatch(/^x+.* send\n$/s);
  });
});
