/* The negative share of one key over time, as a drawing. */

import { atUtc, clock, date, draw, make, named, percent, span } from "./page.parts.js";

const [SECOND, MINUTE, HOUR, DAY] = [1_000, 60_000, 3_600_000, 86_400_000];
const STEPS = [
  ...[1, 5, 15, 30].map((count) => count * SECOND),
  ...[1, 5, 10, 15, 30].map((count) => count * MINUTE),
  ...[1, 2, 3, 6, 12].map((count) => count * HOUR),
];
const LABEL = 58;
const TALL = 240;
const LEFT = 54;
const RIGHT = 46;
const LEAST = 8;
const TOP = 16;

/* Stretches of windows that follow each other without one that has no share between them. */
function stretches(rows, hop) {
  const found = [];
  let before = null;
  for (const row of rows) {
    if (row.negative_share === null) continue;
    if (before === null || row.window_start - before.window_start > hop) found.push([]);
    found.at(-1).push(row);
    before = row;
  }
  return found;
}

/* The moments to label: multiples of a step that leaves room for each label. */
function ticks(first, last, wide) {
  const least = (LABEL * (last - first)) / Math.max(1, wide);
  const step = STEPS.find((one) => one >= least) ?? Math.ceil(least / DAY) * DAY;
  const found = [];
  for (let at = Math.ceil(first / step) * step; at <= last; at += step) found.push(at);
  return { step, found };
}

function axis(svg, x, [first, last], [wide, base]) {
  const { step, found } = ticks(first, last, wide);
  const zones = found.every(atUtc) ? [false] : [false, true];
  let line = base + 19;
  for (const here of zones) {
    let before = null;
    svg.append(draw("text", { x: 2, y: line }, here ? "here" : "UTC"));
    for (const at of found) {
      const [year, monthAndDay] = [date(at, here).slice(0, 4), date(at, here).slice(5)];
      const [label, below] = step < DAY ? [clock(at, here), monthAndDay] : [monthAndDay, year];
      svg.append(draw("text", { class: "tick", x: x(at), y: line }, label));
      if (below !== before) svg.append(draw("text", { class: "tick", x: x(at), y: line + 13 }, below));
      before = below;
    }
    line += 30;
  }
  return line - 12;
}

/* A window in words. */
export function told(row, state) {
  const few = row.labelled < state.alert_support ? `, fewer than the ${state.alert_support} that an alert needs` : "";
  const share = row.negative_share === null ? "none labelled" : `${percent(row.negative_share)} negative of ${row.labelled} labelled${few}`;
  return `${span(row.window_start, row.window_end)}: ${share}; results: ${row.results}`;
}

function kindOf(row, state) {
  if (row.labelled < state.alert_support) return "point weak";
  return row.negative_share >= state.alert_share ? "point alarm" : "point";
}

/* The drawing, `width` pixels wide; `windows` is what the state says of windows of this kind; `marked` one of the rows, or none. */
export function plot(rows, state, windows, width, marked) {
  /* Up to now, whenever the last result was, and some windows at least, or the only one would be all there is. */
  const last = Math.max(rows.at(-1).window_end, windows.window_end);
  const first = Math.min(rows[0].window_start, last - LEAST * windows.hop_ms);
  const [wide, base] = [Math.max(80, width - LEFT - RIGHT), TALL - 24];
  const x = (ms) => LEFT + ((ms - first) / (last - first)) * wide;
  const y = (share) => TOP + (1 - share) * (base - TOP);
  const middle = (row) => x((row.window_start + row.window_end) / 2);
  const hop = x(first + windows.hop_ms) - x(first);
  const bar = Math.max(0.5, hop > 4 ? hop - 1 : hop);
  const dense = hop < 8;
  const most = Math.max(...rows.map((row) => row.results));
  const svg = draw("svg", { role: "img" });
  svg.append(draw("title", {}, `Negative share of ${named(rows[0].attribute, rows[0].value)}, ${span(first, last)}`));
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    svg.append(draw("line", { class: "grid", x1: LEFT, x2: LEFT + wide, y1: y(share), y2: y(share) }));
    svg.append(draw("text", { x: 2, y: y(share) + 4 }, `${100 * share} %`));
  }
  for (const count of [0, most]) svg.append(draw("text", { x: LEFT + wide + 6, y: y(count / most) + 4 }, String(count)));
  if (marked) {
    const long = x(marked.window_end) - x(marked.window_start);
    svg.append(draw("rect", { class: "mark", x: x(marked.window_start), width: long, y: TOP, height: base - TOP }));
  }
  for (const row of rows) {
    const top = y(row.results / most);
    svg.append(draw("rect", { class: "bar", x: middle(row) - bar / 2, width: bar, y: top, height: base - top }));
  }
  const limit = y(state.alert_share);
  svg.append(draw("line", { class: "threshold", x1: LEFT, x2: LEFT + wide, y1: limit, y2: limit }));
  for (const stretch of stretches(rows, windows.hop_ms)) {
    const points = stretch.map((row) => `${middle(row)},${y(row.negative_share)}`).join(" ");
    svg.append(draw("polyline", { class: dense ? "course dense" : "course", points }));
    for (const row of stretch) {
      const kind = kindOf(row, state);
      if (dense && stretch.length > 1 && kind !== "point alarm") continue;
      svg.append(draw("circle", { class: kind, cx: middle(row), cy: y(row.negative_share), r: Math.min(3.5, 1.5 + hop / 6) }));
    }
  }
  for (const row of rows) {
    const hit = { class: "hit", x: middle(row) - hop / 2, width: hop, y: TOP, height: base - TOP };
    svg.append(draw("rect", hit, draw("title", {}, told(row, state))));
  }
  const tall = axis(svg, x, [first, last], [wide, base]);
  svg.setAttribute("viewBox", `0 0 ${LEFT + wide + RIGHT} ${tall}`);
  return svg;
}

/* What the drawing means. */
export function legend(state, windows) {
  const share = percent(state.alert_share);
  const follow = windows.size_ms === windows.hop_ms;
  const raises = windows.kind === "tumbling"
    ? `Dashed: ${share}, from which a window raises an alert when ${state.alert_support} of its results or more are labelled; `
    : `Dashed: ${share}. These windows${follow ? "" : " overlap, and"} raise no alerts: tumbling ones do, from there on, with ${state.alert_support} labelled results or more; `;
  return make(
    "p",
    { class: "note" },
    `Line: share of the labelled results whose label is negative. Broken where windows have none. Bars: results in a window (right). ` +
      `${raises}points of windows with fewer are hollow, the others red at the dashed line or above it.`,
  );
}
