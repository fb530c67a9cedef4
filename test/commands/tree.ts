// What lies in a folder, to be compared before and after.

import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

/** Everything under a folder but our own home: kind, mode, owner, bytes or target. */
export function tree(dir: string): string[] {
  return readdirSync(dir).flatMap((name) => {
    const path = join(dir, name);
    const { mode, uid, gid, ...found } = lstatSync(path);
    const head = `${path} ${mode.toString(8)} ${uid}:${gid}`;
    if (name === ".claudemesh") return [];
    const kind = mode & 0o170000;
    if (kind === 0o120000) return [`${head} -> ${readlinkSync(path)}`];
    if (kind === 0o040000) return [head, ...tree(path)];
    return [kind === 0o100000 ? `${head} ${readFileSync(path, "base64")}` : `${head} ${found.rdev}`];
  });
}
