// Preloaded (`node --import`): once `globalThis.armed` is set, kills this very process with SIGKILL right before its
// n-th call that changes the disk, n being CLAUDEMESH_KILL_AT. Without a kill it says how many there were.

import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const CHANGES = ["appendFile", "chmod", "fsync", "link", "mkdir", "open", "rename", "rm", "rmdir", "symlink", "unlink"];
CHANGES.push("utimes", "write", "writeFile");
const at = Number(process.env.CLAUDEMESH_KILL_AT);
let count = 0;

for (const name of CHANGES.flatMap((one) => [one, `${one}Sync`])) {
  const real = fs[name];
  fs[name] = (...args) => {
    if (globalThis.armed && ++count === at) process.kill(process.pid, "SIGKILL");
    return real(...args);
  };
}
syncBuiltinESMExports();
