import { statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { createTypingBell } from "../../src/claude/typing-bell.ts";
import { ORPHANED } from "../../src/mesh/sweep.ts";
import { letter } from "../mesh/temp-mesh.ts";
import { tempHome } from "../temp-home.ts";
import { standIn } from "./stand-in.ts";

it("a letter whose Enter a client that stands still has not read yet does not come to count as orphaned", async () => {
  const home = tempHome();
  vi.stubEnv("CLAUDEMESH_HOME", home.path(".claudemesh"));
  onTestFinished(() => void vi.unstubAllEnvs());
  const api = await standIn(home, "api");
  const unique = letter(api.box);
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  let thaw: (how: "withdrawn") => void = () => {};
  const bell = createTypingBell(
    api.id,
    (_, begin) => {
      begin?.();
      return new Promise((resolve) => {
        thaw = resolve;
      });
    },
    () => {},
  );
  bell.look();
  await vi.waitFor(() => expect(api.room("cur")).toEqual([`${unique}:2,`]));
  const path = join(api.box, "cur", `${unique}:2,`);
  const long = new Date(Date.now() - ORPHANED);
  utimesSync(path, long, long);
  vi.advanceTimersByTime(5000);
  expect(statSync(path).mtimeMs).toBeGreaterThan(long.getTime() + ORPHANED / 2);
  thaw("withdrawn");
  await bell.stop();
  expect(api.room("new")).toEqual([unique]);
});
