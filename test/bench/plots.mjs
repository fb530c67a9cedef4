// docs/latency.svg and docs/growth.svg, drawn from the numbers of a run.

import { dot, line, plot, ruleX, text } from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { machineText } from "./table.mjs";

const WIDTH = 760;
const COLOURS = { "the floor": "#9aa0a6", claudemesh: "#d97757" };
/** In both colour schemes of a page that shows it. */
const STYLE = { background: "white", color: "#222", fontFamily: "system-ui, sans-serif", fontSize: "12px" };

function svg(options) {
  const { document } = parseHTML("<html><body></body></html>");
  const drawn = plot({ ...options, document, width: WIDTH, style: STYLE });
  drawn.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  drawn.setAttribute("role", "img");
  return `${drawn.outerHTML}\n`;
}

/** The share of the samples that took at most so long, for each row that keeps its distribution; undefined if none does. */
export function latency(result) {
  const rows = result.rows.filter((row) => row.distribution);
  if (!rows.length) return undefined;
  const points = rows.flatMap(({ name, distribution }) =>
    Object.entries({ "the floor": distribution.floor, claudemesh: distribution.value }).flatMap(([side, samples]) =>
      samples.map((ms, i) => ({ name, side, ms, share: (i + 1) / samples.length })),
    ),
  );
  const medians = points.filter(({ share }) => share === 0.5);
  return svg({
    ariaLabel: "How long each takes, beside its floor: the share of the samples over milliseconds",
    height: 60 + 130 * rows.length,
    marginTop: 30,
    marginBottom: 44,
    marginRight: 20,
    marginLeft: 50,
    fy: { label: null, domain: rows.map(({ name }) => name), axis: null },
    x: { type: "log", label: `milliseconds (${machineText(result)})`, grid: true, tickFormat: "~g" },
    y: { label: "share", ticks: [0, 0.5, 1], domain: [0, 1.25], tickFormat: "%" },
    color: { domain: Object.keys(COLOURS), range: Object.values(COLOURS) },
    marks: [
      ruleX(medians, { x: "ms", fy: "name", stroke: "side", strokeDasharray: "2 3" }),
      line(points, { x: "ms", y: "share", fy: "name", stroke: "side", strokeWidth: 2 }),
      text(rows, {
        fy: "name",
        text: ({ name }) => name.replace(", p99", "").replaceAll("`", ""),
        frameAnchor: "top-left",
        fontWeight: "bold",
        dx: 4,
      }),
      ...Object.keys(COLOURS).map((side, i) =>
        text([side], { text: [side], fill: COLOURS[side], frameAnchor: "top-right", fy: [rows[0].name], dy: i * 14 }),
      ),
    ],
  });
}

/** Milliseconds over size, both logarithmic, so that the slope is the exponent; undefined if nothing was measured. */
export function grows(result) {
  if (!result.growth.length) return undefined;
  const kinds = [...new Set(result.growth.map(({ by }) => by))];
  const points = result.growth.flatMap(({ name, by, sizes, ms }) =>
    sizes.map((size, i) => ({ name, by, size, ms: ms[i] })),
  );
  const ends = result.growth.map(({ name, by, sizes, ms, exponent }) => ({
    by,
    size: sizes.at(-1),
    ms: ms.at(-1),
    label: `${name.replace(/, by .*/, "").replaceAll("`", "")}  n^${exponent.toFixed(2).replace("-0.00", "0.00")}`,
  }));
  return svg({
    ariaLabel: "How each grows: milliseconds over the number of sessions, letters and megabytes",
    height: 60 + 170 * kinds.length,
    marginTop: 30,
    marginBottom: 44,
    marginRight: 190,
    marginLeft: 50,
    fy: { label: null, domain: kinds, axis: null },
    x: { type: "log", label: `size (${machineText(result)})`, grid: true, tickFormat: "~s" },
    y: { type: "log", label: "milliseconds", grid: true, tickFormat: "~g" },
    color: { scheme: "tableau10" },
    marks: [
      line(points, { x: "size", y: "ms", z: "name", stroke: "name", fy: "by", strokeWidth: 2 }),
      dot(points, { x: "size", y: "ms", fill: "name", fy: "by", r: 2.5 }),
      text(ends, { x: "size", y: "ms", fy: "by", text: "label", textAnchor: "start", dx: 6 }),
      text(kinds, {
        fy: (kind) => kind,
        text: (kind) => `by ${kind}`,
        frameAnchor: "top-left",
        fontWeight: "bold",
        dy: -12,
      }),
    ],
  });
}
