// Install, use it with the real client, uninstall: the user's files are what they were.

import { lstatSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { versions } from "../real/client.ts";
import { stage } from "./stage.ts";

/** Every path below a folder, with what it holds. */
function tree(dir: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const path of readdirSync(dir, { recursive: true, encoding: "utf8" })) {
    const stat = lstatSync(join(dir, path));
    if (stat.isSymbolicLink()) found[path] = `-> ${readlinkSync(join(dir, path))}`;
    else if (stat.isFile()) found[path] = `${stat.mode.toString(8)} ${readFileSync(join(dir, path), "utf8")}`;
  }
  return found;
}

describe.each(versions)("install and uninstall around %s", (version) => {
  it("give back every byte, and leave nothing of ours in ~/.claude", async () => {
    const { session, verb, home, send, shown } = await stage(version, "supervised");
    const settings = home.path(".claude", "settings.json");
    writeFileSync(settings, '{\n\t"permissions": { "defaultMode": "default" },\n\t"cleanupPeriodDays": 30\n}');
    const before = tree(home.path(".claude"));

    const installed = await verb("install");
    expect(installed, installed.stderr).toMatchObject({ code: 0 });
    expect(installed.stdout).toContain(home.path(".claude", "skills", "claudemesh"));
    const again = tree(home.path(".claude"));
    expect((await verb("install")).code).toBe(0);
    expect(tree(home.path(".claude"))).toEqual(again);

    // A bare claude, and one under the supervisor: there the copy on the command line wins, and nothing comes twice.
    const mate = await session("api");
    await send("api", "letter to an installed session");
    expect(await shown("letter to an installed session")).toBe(1);
    await mate.waitStatus("idle");
    await mate.waitScreen(/\[[0-9a-z]{8}\]/);
    await mate.command("/exit");
    await mate.exit();

    const removed = await verb("uninstall");
    expect(removed, removed.stderr).toMatchObject({ code: 0 });
    const after = tree(home.path(".claude"));
    for (const [path, content] of Object.entries(before)) expect([path, after[path]]).toEqual([path, content]);
    const ours = Object.keys(after).filter((path) => /claudemesh/.test(path.replace(/^projects\/[^/]*/, "")));
    expect(ours).toEqual([]);
    expect(readdirSync(home.path(".claude"))).not.toContain("skills");
  });
});
