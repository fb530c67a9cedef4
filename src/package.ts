// Where this package lies, and what it says of itself.

import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The path of a file of this package, given from the package's folder. This file's own is src/, or dist/, bundled or not. */
export const packageFile = (path: string): string => join(import.meta.dirname, "..", path);

/** The version in package.json. */
export function version(): string {
  return (JSON.parse(readFileSync(packageFile("package.json"), "utf8")) as { version: string }).version;
}
