// The bench's numbers as text: the table on the terminal and the one in docs/numbers.md.

const MARKS = ["<!-- bench -->", "<!-- /bench -->"];

/** Three significant digits, and no more zeros than that. */
export function short(value) {
  if (!Number.isFinite(value)) return "–";
  if (Math.abs(value) >= 100) return String(Math.round(value));
  return String(Number(value.toPrecision(Math.abs(value) >= 10 ? 3 : 2)));
}

export function goalText({ ratio, more, most, unit = "" } = {}) {
  if (ratio !== undefined) return `≤ ${ratio} ×`;
  if (more !== undefined) return `≤ +${more} ${unit}`.trim();
  return most === undefined ? "" : `≤ ${most}`;
}

const cellsOf = (row) => [
  row.name,
  row.unit,
  row.floor === null ? "–" : short(row.floor),
  short(row.value),
  short(row.p99),
  row.ratio === null ? "–" : `${short(row.ratio)} ×`,
  row.goal,
  row.met === null ? "" : row.met ? "yes" : "NO",
];

/** Columns of equal width, without lines. */
export function aligned(lines) {
  const widths = lines[0].map((_, i) => Math.max(...lines.map((cells) => cells[i].length)));
  return lines
    .map((cells) =>
      cells
        .map((cell, i) => cell.padEnd(widths[i]))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

export const text = ({ rows }) =>
  aligned([["", "unit", "floor", "here", "p99", "ratio", "goal", "met"], ...rows.map(cellsOf)]);

export const growthText = ({ growth }) =>
  aligned([
    ["", "sizes → ms", "exponent"],
    ...growth.map((g) => [g.name, g.sizes.map((n, i) => `${n}: ${short(g.ms[i])}`).join("  "), short(g.exponent)]),
  ]);

export const machineText = ({ machine, commit }) =>
  `commit ${commit.slice(0, 9)}, ${machine.cores} cores, ${machine.disk}, Node ${machine.node}, ${machine.platform}`;

/** The page's table: a row a line, nothing that the row's name does not need. */
export function markdown(result) {
  const line = (row) => {
    const floor = row.floor === null ? "–" : `${row.floorIs}: ${short(row.floor)} ${row.unit}`;
    const [ratio, met] = [row.ratio === null ? "–" : `${short(row.ratio)} ×`, row.met === false ? " (not met)" : ""];
    return `| ${row.name} | ${floor} | ${short(row.value)} ${row.unit} | ${ratio} | ${row.goal || "–"}${met} |`;
  };
  const grows = ({ name, sizes, ms, exponent }) =>
    `| ${name} | ${short(sizes[0])}: ${short(ms[0])} ms | ${short(sizes.at(-1))}: ${short(ms.at(-1))} ms | size^${short(exponent)} | |`;
  return [
    "| | floor | here | ratio | goal |",
    "|---|---|---|---|---|",
    ...result.rows.map(line),
    ...result.growth.map(grows),
    "",
    `Medians, floors measured by turns in the same run: ${machineText(result)}.`,
  ].join("\n");
}

/** `page` with what stands between the marks replaced. Throws if they are not there, once each. */
export function between(page, content) {
  const [start, end] = MARKS.map((mark) => page.indexOf(mark));
  if (start < 0 || end < start || MARKS.some((mark) => page.split(mark).length !== 2))
    throw new Error(`the page has no ${MARKS.join(" … ")} to write the table between`);
  return `${page.slice(0, start + MARKS[0].length)}\n${content}\n${page.slice(end)}`;
}
