// `npm run bench`: everything that is promised a number, measured beside its floor, by turns, in one run. Prints a table
// and writes bench.json into the current folder.
//
//   --only <text>      the rows with the text in their names
//   --full             longer: 60 s idle, a transcript of 1 GB
//   --rounds <n>       so many samples of each, or as many as eight seconds have room for
//   --from <file>      take the numbers of an earlier run instead of measuring
//   --peer '<command>' another program's send to receive beside ours; --peer-tools names its tools: see peer.mjs
//   --table            write the table of docs/numbers.md
//   --plots            draw docs/latency.svg and docs/growth.svg

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { growth } from "./growth.mjs";
import * as idle from "./idle.mjs";
import { commit, machine } from "./machine.mjs";
import { measured } from "./measure.mjs";
import { rowsFor } from "./peer.mjs";
import * as processes from "./processes.mjs";
import * as scale from "./scale.mjs";
import * as supervisor from "./supervisor.mjs";
import { between, growthText, machineText, markdown, text } from "./table.mjs";
import * as wake from "./wake.mjs";
import * as woken from "./woken.mjs";
import { at, closeAll } from "./world.mjs";

const { values: options } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    full: { type: "boolean", default: false },
    rounds: { type: "string" },
    from: { type: "string" },
    peer: { type: "string" },
    "peer-tools": { type: "string" },
    table: { type: "boolean" },
    plots: { type: "boolean" },
  },
});
if (options.rounds !== undefined) options.rounds = Number(options.rounds);
const families = [wake, woken, processes, supervisor, idle, scale, { rows: rowsFor(options) }];
const isWanted = ({ name }) => name.toLowerCase().includes(options.only.toLowerCase());

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
  process.on(signal, () => closeAll().finally(() => process.exit(1)));

const started = Date.now();
const tell = (name) =>
  process.stderr.write(`${String(Math.round((Date.now() - started) / 1000)).padStart(3)} s  ${name} …\n`);

async function run() {
  const result = { rows: [], growth: [], failed: [], machine: machine(), commit: commit() };
  const wanted = families.flatMap(({ rows }) => rows).filter(isWanted);
  for (const row of wanted) {
    tell(row.name);
    try {
      result.rows.push(await measured(row, options));
    } catch (error) {
      // The others are worth having, but the run has failed.
      process.stderr.write(`${row.name}: ${error.message}\n`);
      result.failed.push({ name: row.name, why: error.message });
      process.exitCode = 1;
    }
  }
  result.growth = await growth(options, isWanted, tell);
  if (!wanted.length && !result.growth.length) throw new Error(`no row is called like '${options.only}'`);
  process.stderr.write(`${Math.round((Date.now() - started) / 1000)} s\n`);
  writeFileSync("bench.json", `${JSON.stringify(result, null, 1)}\n`);
  return result;
}

async function draw(result) {
  const { latency, grows } = await import("./plots.mjs");
  mkdirSync(at("docs"), { recursive: true });
  for (const [name, drawn] of Object.entries({ latency: latency(result), growth: grows(result) }))
    if (drawn) writeFileSync(at(`docs/${name}.svg`), drawn);
}

try {
  if (options.table && options.only) throw new Error("--table writes the whole table, not --only a part");
  const result = options.from ? JSON.parse(readFileSync(options.from, "utf8")) : await run();
  console.log(machineText(result));
  if (result.rows.length) console.log(`\n${text(result)}`);
  if (result.growth.length) console.log(`\n${growthText(result)}`);
  if (options.table) {
    const page = at("docs/numbers.md");
    writeFileSync(page, between(readFileSync(page, "utf8"), markdown(result)));
  }
  if (options.plots) await draw(result);
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await closeAll();
}
