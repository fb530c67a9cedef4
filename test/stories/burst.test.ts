// A burst: six senders at once, sixty letters, one idle session. All are shown, each once, in order for each sender.

import { describe, expect, it } from "vitest";
import { versions } from "../real/client.ts";
import { newestText, timesShown } from "../real/shown.ts";
import { until } from "../temp-home.ts";
import { stage } from "./stage.ts";

const SENDERS = ["ash", "birch", "cedar", "elm", "fir", "oak"];
const EACH = 10;

describe.each(versions)("an idle session of %s", (version) => {
  it("is shown all of sixty letters from six senders at once, each once and in each sender's order", async () => {
    const { session, api, home, json, row } = await stage(version, "supervised");
    const mate = await session("api");
    const ids = new Map<string, string[]>();
    await Promise.all(
      SENDERS.map(async (sender) => {
        for (let n = 0; n < EACH; n++) {
          const done = await home.run(["send", "--json", "api", `letter ${sender}-${n} of the burst`]);
          expect(done.code, done.stderr).toBe(0);
          const { message_id } = JSON.parse(done.stdout) as { message_id: string };
          ids.set(sender, [...(ids.get(sender) ?? []), message_id]);
        }
      }),
    );
    expect(ids.size).toBe(SENDERS.length);
    const letters = SENDERS.flatMap((sender) =>
      Array.from({ length: EACH }, (_, n) => `letter ${sender}-${n} of the burst`),
    );
    await until(() => letters.every((letter) => timesShown(api, letter) > 0), "all letters to be shown", 90_000);
    await mate.waitStatus("idle", 30_000);
    for (const letter of letters) expect([letter, timesShown(api, letter)]).toEqual([letter, 1]);

    const seen = api.turns(mate.id()).map(newestText).join("\n");
    for (const sender of SENDERS) {
      const at = Array.from({ length: EACH }, (_, n) => seen.indexOf(`letter ${sender}-${n} of the burst`));
      expect([sender, at]).toEqual([sender, at.toSorted((a, b) => a - b)]);
    }
    for (const id of [...ids.values()].flat())
      expect((await json<{ state: string }>("receipt", id)).state).toBe("seen");
    expect(await row("api")).toMatchObject({ unread: 0 });
  }, 240_000);
});
