// One process of the crash test: `worker.mjs <role> <name> <start> <seed>` on CLAUDEMESH_HOME. It says what it has done on
// stdout, line by line and synchronously, so that whatever it had said when it was killed is known.

import { createHash } from "node:crypto";
import { writeSync } from "node:fs";
import { DEFAULTS } from "../../dist/mesh/config.js";
import { mailbox } from "../../dist/mesh/home.js";
import { joinMesh, leave } from "../../dist/mesh/join.js";
import { recover } from "../../dist/mesh/maildir.js";
import { markSeen } from "../../dist/mesh/owed.js";
import { take } from "../../dist/mesh/receive.js";
import { send } from "../../dist/mesh/send.js";
import { sweepMailbox } from "../../dist/mesh/sweep.js";
import { BOXES, ORPHANED_HERE, random } from "./plan.mjs";

const [role, name, start, seed] = process.argv.slice(2);
const chance = random(Number(seed));
const say = (...words) => writeSync(1, `${words.join(" ")}\n`);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const from = { id: name, name, host: "chaos" };

const roles = {
  /** Sends to one mailbox after the other, ever further numbers. */
  async sender() {
    for (let n = Number(start); ; n++) {
      const to = BOXES[Math.floor(chance() * BOXES.length)];
      const filler = "x".repeat(Math.floor(chance() * 3000));
      const digest = createHash("sha256").update(`${name} ${n} ${filler}`).digest("hex");
      say("try", n, to);
      const { unique } = send({
        from,
        to: [{ id: to, name: to, host: "chaos" }],
        body: `${name} ${n} ${digest}\n${filler}`,
      });
      say("ack", n, to, unique, Date.now());
      if (n % 50 === 0) await pause(1);
    }
  },
  /** Takes, shows (says) and marks what lies in one mailbox. */
  async collector() {
    for (;;) {
      const letters = take(name, () => chance() < 0.98 || "stop");
      for (const { unique, message } of letters) {
        const [sender, n] = message.body.split(/\s/, 2);
        say("show", name, unique, sender, n, Date.now());
      }
      markSeen(name, letters);
      await pause(letters.length ? 0 : 3);
    }
  },
  /** What every session does now and then: recovers what dead collectors left, and sweeps. */
  async sweeper() {
    for (;;) {
      for (const id of BOXES) {
        recover(mailbox(id), ORPHANED_HERE);
        sweepMailbox(id, DEFAULTS);
      }
      await pause(100);
    }
  },
  /** A session that comes and goes. */
  async session() {
    for (let n = 0; ; n++) {
      const { id, pid } = await joinMesh({ pid: process.pid, cwd: `/tmp/${name}`, name, session_id: `${name}-${n}` });
      await pause(chance() * 40);
      await leave(id, pid);
    }
  },
};

await roles[role]();
