// The second half of the build: what tsc made in one file, dist/claudemesh.cjs, and V8's code cache of it. Node takes
// longer to find, read and compile thirty modules than `send` takes for all else.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const outfile = at("dist/claudemesh.cjs");
// V8 knows a source by its length alone: a stale cache must not lie beside a new file.
rmSync(`${outfile}.cache`, { force: true });
const bundle = (entryPoints, more) =>
  build({
    entryPoints: entryPoints.map((file) => at(`dist/${file}`)),
    outdir: at("dist"),
    outExtension: { ".js": ".cjs" },
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node20",
    // Node can require() what is ESM, and so need not load what import() takes.
    supported: { "dynamic-import": false },
    define: { "import.meta.dirname": "__dirname" },
    // Loaded by few verbs, from where npm put them. What is left of the dependencies is cac (MIT, EGOIST).
    external: ["chokidar", "proper-lockfile", "node-pty", "zod", "@xterm/*", "@modelcontextprotocol/*"],
    logLevel: "warning",
    ...more,
  });
/** Verbs that are seldom started, or live long: each is a file of its own, so that the others need not read it. */
const own = ["run", "mcp", "doctor", "install", "uninstall", "history", "search", "turn"];
const apart = {
  name: "apart",
  setup: (build) =>
    build.onResolve({ filter: new RegExp(`^\\./commands/(${own.join("|")})\\.js$`) }, ({ path }) => ({
      path: path.replace(/.*\/(.*)\.js$/, "./$1.cjs"),
      external: true,
    })),
};
await bundle(["claude/search-thread.js"]);
await bundle(own.map((verb) => `commands/${verb}.js`));
await bundle(["cli.js"], { entryNames: "claudemesh", plugins: [apart] });

const home = mkdtempSync(join(tmpdir(), "claudemesh-build-"));
const env = { PATH: process.env.PATH, HOME: home };
const launcher = at("bin/claudemesh.cjs");
const keepCache = `
  const { renameSync, writeFileSync } = require("node:fs");
  const vm = require("node:vm");
  vm.Script = class extends vm.Script {
    constructor(source, options) {
      super(source, options);
      process.once("exit", () => {
        writeFileSync(options.filename + ".cache.tmp", this.createCachedData());
        renameSync(options.filename + ".cache.tmp", options.filename + ".cache");
      });
    }
  };
  process.argv.splice(1, 0, ${JSON.stringify(launcher)});
  require(${JSON.stringify(launcher)});`;
try {
  // The functions that have run are in the cache too: each run adds its own.
  for (const words of [["send", "you", "hello"], ["hook", "Stop"], ["list"], ["inbox"]])
    execFileSync(process.execPath, ["-e", keepCache, ...words], {
      env,
      input: "{}",
      stdio: ["pipe", "ignore", "ignore"],
    });
} finally {
  rmSync(home, { recursive: true, force: true });
}
