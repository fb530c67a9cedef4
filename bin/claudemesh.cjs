#!/usr/bin/env node
// Runs dist/claudemesh.cjs with the code cache that the build made of it: V8 then compiles nothing at the start. Where
// there is none, or another Node made it, it is compiled as ever.
const { readFileSync } = require("node:fs");
const Module = require("node:module");
const { dirname, join } = require("node:path");
const { Script } = require("node:vm");

const file = join(__dirname, "../dist/claudemesh.cjs");
const cachedData = (() => {
  try {
    return readFileSync(`${file}.cache`);
  } catch {}
})();
const script = new Script(Module.wrap(readFileSync(file, "utf8")), { filename: file, cachedData });
script.runInThisContext()({}, Module.createRequire(file), {}, file, dirname(file));
