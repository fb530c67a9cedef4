// A row: what is measured and its floor become the numbers of bench.json.

import { median, p99, quantile } from "./stats.mjs";
import { goalText } from "./table.mjs";

const POINTS = 200;
/** Enough of a distribution to draw it, whatever the number of samples. */
const curve = (samples) => Array.from({ length: POINTS }, (_, i) => quantile(samples, (i + 1) / POINTS));

function isMet({ ratio, more, most } = {}, { floor, value, ratio: found }) {
  if (ratio !== undefined) return found <= ratio;
  if (more !== undefined) return value - floor <= more;
  return most === undefined ? null : value <= most;
}

/** Measures a row; `options` are the command line's. */
export async function measured({ name, unit, floorIs = "", goal, of = {}, plot = false, measure }, options) {
  const { floor: below = [], value: samples } = await measure(options);
  const floor = below.length ? (of.floor ?? median)(below) : null;
  const value = (of.value ?? median)(samples);
  const ratio = floor === null ? null : value / floor;
  const row = { name, unit, floor, value, p99: p99(samples), ratio, goal: goalText({ ...goal, unit }), floorIs };
  const drawn = plot ? { distribution: { floor: curve(below), value: curve(samples) } } : {};
  return { ...row, met: isMet(goal, row), rounds: samples.length, ...drawn };
}
