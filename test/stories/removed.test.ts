// All of ~/.claudemesh removed while sessions run, as the README says to be rid of one's mail.

import { readdirSync, rmSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { versions } from "../real/client.ts";
import { until } from "../temp-home.ts";
import { peerFiles, stage } from "./stage.ts";

describe.each(versions)("a session of the real client %s whose mesh folder is removed", (version) => {
  it.each(["supervised", "bare"] as const)(
    "(%s) is soon there again under its id, and woken as it was told",
    async (mode) => {
      const s = await stage(version, mode);
      const api = await s.session("api");
      const before = await s.row("api");
      rmSync(s.home.path(".claudemesh"), { recursive: true });
      await until(() => peerFiles(s.home).length, "the session to be there again", 5000);
      expect(await s.row("api")).toMatchObject({ id: before?.id, alive: true, pid: before?.pid });
      expect(readdirSync(s.home.path(".claudemesh", "sessions"))).toEqual([api.id()]);
      const sent = await s.send("api", "after the flood");
      const { recipient } = sent.to[0] ?? {};
      // Of these only the old one's own watcher, which watches what was there, is no longer a bell.
      if (mode === "bare" && version === "2.1.197") {
        expect(recipient).toBe("idle, reads it with its next prompt");
        await api.ask("hello");
      } else expect(recipient).toMatch(/^idle, (being )?woken by (inbox|supervisor)$/);
      expect(await s.shown("after the flood", api)).toBe(1);
      await s.receiptIs(sent.message_id, "seen");
    },
  );
});
