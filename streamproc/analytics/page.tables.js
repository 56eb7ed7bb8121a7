/* Tables: keys and their windows, what moved, alerts. */

import { draw, make, named, percent, shown, signed, span } from "./page.parts.js";

const MOST = 20;
export const ASKED = 1000;
const TRACK = 96;

/* "and 28 more", with where they are; an answer that is as long as it may be has perhaps left some out. */
function more(rows, link) {
  const rest = rows.length - MOST;
  if (rest <= 0) return [];
  const least = rows.length === ASKED ? `at least ${rest}` : rest;
  return [make("p", { class: "note" }, `and ${least} more: `, make("a", { href: link }, link.split("?")[0]))];
}

function table(heads, rows, link) {
  const cells = (tag, row) => row.map((cell, at) => make(tag, at ? { class: "number" } : {}, cell));
  const lines = rows.slice(0, MOST).map((row) => make("tr", row.weak ? { class: "weak" } : {}, ...cells("td", row)));
  const head = make("thead", {}, make("tr", {}, ...cells("th", heads)));
  return make("div", { class: "scroll" }, make("table", {}, head, make("tbody", {}, ...lines)), ...more(rows, link));
}

const nothing = (why) => make("p", { class: "note" }, why);

function bar(row, state) {
  const share = row.negative_share;
  const weak = row.labelled < state.alert_support;
  const kind = weak ? "weak" : share >= state.alert_share ? "alarm" : "calm";
  const limit = TRACK * state.alert_share;
  const drawing = draw(
    "svg",
    { class: "meter", width: TRACK, height: 10, viewBox: `0 0 ${TRACK} 10`, "aria-hidden": "true" },
    draw("rect", { class: "track", width: TRACK, height: 10, rx: 3 }),
    draw("rect", { class: kind, width: TRACK * (share ?? 0), height: 10, rx: 3 }),
    draw("line", { class: "limit", x1: limit, x2: limit, y1: 0, y2: 10 }),
  );
  return make("span", { class: `share ${kind}` }, drawing, make("b", {}, percent(share)));
}

/* When a window is, in pieces that are not broken. */
function times(row) {
  const [there, here] = span(row.window_start, row.window_end).split(/ (?=\()/);
  return make("span", {}, ...[there, here].filter(Boolean).flatMap((text) => [make("span", { class: "whole" }, text), " "]));
}

/* A key as a button that shows its course; that of an alert marks its window there. */
function key(row, chosen, text, window = {}) {
  const same = row.attribute === chosen.attribute && row.value === chosen.value;
  const now = same && (window["data-start"] ?? chosen.start) === chosen.start;
  const data = { type: "button", "data-attribute": row.attribute, "data-value": row.value, ...window };
  return make("button", now ? { ...data, "aria-current": "true" } : data, text);
}

export function windowsTable(rows, state, chosen, attribute, link, filtered) {
  if (!rows.length && filtered) return nothing(`No ${attribute} of this window has that in its name.`);
  if (!rows.length) return nothing(`No result of this window names its ${attribute}. Events say it, as those of streamproc publish --${attribute} do.`);
  const lines = rows.map((row) =>
    Object.assign([key(row, chosen, shown(row.value)), bar(row, state), String(row.labelled), String(row.results), signed(row.mean_change, 3)], {
      weak: row.labelled < state.alert_support,
    }),
  );
  const found = table([attribute, "negative", "labelled", "results", "change in a call"], lines, link);
  const strong = `Pale: fewer than ${state.alert_support} labelled results, which is too few for an alert; they come last. `;
  const change = "Change in a call: how much more negative its last segment is than its first, from −1 to +1, in the mean; – where no recording of a key has two segments.";
  found.append(nothing((lines.some((line) => line.weak) ? strong : "") + change));
  return found;
}

export function moversTable(rows, state, chosen, attribute, link) {
  const needs = `at least ${state.alert_support} labelled results (analytics.alert_support) in both windows`;
  if (!rows.length) return nothing(`None yet: no ${attribute} has ${needs}.`);
  const lines = rows.map((row) => {
    const [kind, arrow] = row.share_change > 0 ? ["up", "▲ "] : row.share_change < 0 ? ["down", "▼ "] : ["note", ""];
    const moved = make("span", { class: kind }, arrow + signed(100 * row.share_change, 1));
    return [key(row, chosen, shown(row.value)), percent(row.share_before), percent(row.negative_share), String(row.labelled), moved];
  });
  const found = table([attribute, "before", "now", "labelled", "points"], lines, link);
  found.append(nothing(`Of those with ${needs}; points: percentage points of the negative share.`));
  return found;
}

/* Where the list and the topic of alerts may say different things. */
function band({ alert_share: share, alert_clear_share: clear }) {
  return clear < share ? `On the topic an alert stays raised until the share of its window falls below ${percent(clear)}.` : "";
}

export function alertsTable(rows, state, chosen, link) {
  if (!rows.length) {
    const needs = `at least ${state.alert_support} labelled results of which ${percent(state.alert_share)} or more are negative`;
    return nothing(`None: no tumbling window that is kept has ${needs} (analytics.alert_support, analytics.alert_share). ${band(state)}`);
  }
  const window = (row) => ({ "data-kind": row.window_kind, "data-start": String(row.window_start) });
  const lines = rows.map((row) => [
    key(row, chosen, named(row.attribute, row.value), window(row)), times(row), bar(row, state), String(row.labelled),
  ]);
  const found = table(["", "window", "negative", "labelled"], lines, link);
  found.append(nothing(band(state)));
  return found;
}
