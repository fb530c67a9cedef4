// Finding a program on PATH.

import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { ignore } from "./errors.ts";

/** The absolute paths of all executable files that `name` may mean: itself if it has a slash, else those on `path`, in order. */
export function findPrograms(name: string, path = process.env.PATH ?? ""): string[] {
  const candidates = name.includes("/") ? [name] : path.split(delimiter).map((dir) => join(dir || ".", name));
  return candidates.filter(isExecutableFile).map((found) => resolve(found));
}

/** The first of them. */
export const findProgram = (name: string, path?: string): string | undefined => findPrograms(name, path)[0];

function isExecutableFile(path: string): boolean {
  return (
    ignore(["ENOENT", "ENOTDIR", "EACCES", "ELOOP", "ENAMETOOLONG"], () => {
      accessSync(path, constants.X_OK);
      return statSync(path).isFile();
    }) ?? false
  );
}
