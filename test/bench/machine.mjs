// The machine and the commit that numbers were made on, in general terms.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { arch, availableParallelism, tmpdir } from "node:os";
import { at } from "./world.mjs";

/** What a command prints, or undefined if it can't be had. */
function asked(command, ...args) {
  try {
    return execFileSync(command, args, { encoding: "utf8", cwd: at("."), stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return undefined;
  }
}

/** The kind of disk under the folder that the measurements are made in. */
function disk() {
  const [device, type] = (asked("df", "--output=source,fstype", tmpdir())?.split("\n")[1] ?? "").split(/\s+/);
  if (!device) return "unknown disk";
  if (["tmpfs", "overlay", "9p", "nfs4"].includes(type)) return type;
  const name = device.replace("/dev/", "");
  if (/^nvme/.test(name)) return `NVMe, ${type}`;
  if (/^(vd|xvd)/.test(name)) return `virtual disk, ${type}`;
  try {
    const spins = readFileSync(`/sys/block/${name.replace(/\d+$/, "")}/queue/rotational`, "utf8").trim() === "1";
    return `${spins ? "hard disk" : "SSD"}, ${type}`;
  } catch {
    return type;
  }
}

export const machine = () => ({
  cores: availableParallelism(),
  disk: disk(),
  node: process.versions.node,
  platform: `${process.platform} ${arch()}`,
});

/** The commit that is checked out, with a `+` if files have been changed since. */
export function commit() {
  const changed = asked("git", "status", "--porcelain", "--untracked-files=no");
  return `${asked("git", "rev-parse", "HEAD") ?? "unknown"}${changed ? "+" : ""}`;
}
