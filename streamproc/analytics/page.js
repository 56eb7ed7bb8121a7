"use strict";

const AGAIN_MS = 5000;
const MOST = 20;
const SVG = "http://www.w3.org/2000/svg";
const $ = (id) => document.getElementById(id);

async function ask(path, parameters = {}) {
  const answer = await fetch(`api/${path}?${new URLSearchParams(parameters)}`);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function draw(name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(1)} %`);
const clock = (ms) => new Date(ms).toISOString().slice(5, 16).replace("T", " ");

function table(heads, rows) {
  if (!rows.length) return make("p", { class: "nothing" }, "nothing yet");
  const cells = (tag, row) => row.map((cell, at) => make(tag, at ? { class: "number" } : {}, cell));
  const head = make("thead", {}, make("tr", {}, ...cells("th", heads)));
  const lines = rows.slice(0, MOST).map((row) => make("tr", row.weak ? { class: "nothing" } : {}, ...cells("td", row)));
  const found = make("div", {}, make("table", {}, head, make("tbody", {}, ...lines)));
  if (rows.length > MOST) found.append(make("p", { class: "nothing" }, `and ${rows.length - MOST} more: api/windows has up to 1000`));
  return found;
}

function meter(share, threshold) {
  const node = make("meter", { min: 0, max: 1, low: threshold / 2, high: threshold, optimum: 0, value: share ?? 0 });
  return make("span", {}, node, ` ${percent(share)}`);
}

function plot(rows, threshold) {
  if (!rows.length) return make("p", { class: "nothing" }, "nothing yet");
  const [width, height, left, bottom, top] = [1000, 240, 44, 24, 10];
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  svg.append(draw("title", {}, `Negative share from ${clock(rows[0].window_start)} to ${clock(rows.at(-1).window_end)} UTC`));
  const first = rows[0].window_start;
  const span = Math.max(1, rows.at(-1).window_end - first);
  const x = (ms) => left + ((ms - first) / span) * (width - left - 10);
  const y = (share) => top + (1 - share) * (height - top - bottom);
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    svg.append(draw("line", { class: "grid", x1: left, x2: width - 10, y1: y(share), y2: y(share) }));
    svg.append(draw("text", { x: 4, y: y(share) + 4 }, percent(share)));
  }
  const most = Math.max(...rows.map((row) => row.results));
  const middle = (row) => x((row.window_start + row.window_end) / 2);
  for (const row of rows) {
    const tall = (row.results / most) * (height - top - bottom);
    const bar = draw("rect", { class: "bar", x: middle(row) - 6, width: 12, y: height - bottom - tall, height: tall });
    bar.append(draw("title", {}, `${clock(row.window_start)}: ${row.results} results`));
    svg.append(bar);
  }
  svg.append(draw("line", { class: "threshold", x1: left, x2: width - 10, y1: y(threshold), y2: y(threshold) }));
  const known = rows.filter((row) => row.negative_share !== null);
  svg.append(draw("polyline", { class: "course", points: known.map((row) => `${middle(row)},${y(row.negative_share)}`).join(" ") }));
  for (const row of known) {
    const point = draw("circle", { class: "point", cx: middle(row), cy: y(row.negative_share), r: 3.5 });
    point.append(draw("title", {}, `${clock(row.window_start)}: ${percent(row.negative_share)} of ${row.labelled}`));
    svg.append(point);
  }
  const step = Math.ceil(rows.length / 10);
  rows.forEach((row, at) => {
    if (at % step === 0) svg.append(draw("text", { x: middle(row) - 30, y: height - 6 }, clock(row.window_start)));
  });
  return svg;
}

function choose(attributes) {
  const select = $("attribute");
  const names = attributes.filter((name) => name !== "all");
  if (names.join() === [...select.options].map((option) => option.value).join()) return;
  select.replaceChildren(...names.map((name) => make("option", {}, name)));
}

function moved(row) {
  const more = row.share_change > 0;
  return make("span", { class: more ? "up" : "down" }, `${more ? "▲" : "▼"} ${percent(Math.abs(row.share_change))}`);
}

async function show() {
  const state = await ask("state");
  choose(state.attributes);
  const attribute = $("attribute").value;
  const kind = $("kind").value;
  $("state").textContent = state.watermark
    ? `up to ${clock(state.watermark)} UTC, ${state.partitions.length} partitions${state.ready ? "" : ", still reading"}`
    : "no results yet";
  $("series").replaceChildren(plot(await ask("series", { kind, most: 1000 }), state.alert_share));
  const alerts = await ask("alerts");
  const alarm = alerts.map((row) => [
    `${row.attribute} ${row.value}`, `${clock(row.window_start)} – ${clock(row.window_end)}`,
    meter(row.negative_share, state.alert_share), String(row.labelled),
  ]);
  $("alerts").replaceChildren(table(["", "window (UTC)", "negative", "labelled"], alarm));
  if (!attribute) return;
  const windows = await ask("windows", { attribute, kind, most: 1000 });
  const current = windows.map((row) => Object.assign([
    row.value, meter(row.negative_share, state.alert_share), String(row.results),
    row.mean_change === null ? "–" : row.mean_change.toFixed(3),
  ], { weak: row.labelled < state.alert_support }));
  $("windows").replaceChildren(table([attribute, "negative", "results", "change in a call"], current));
  const movers = await ask("movers", { attribute, kind, most: 10 });
  const rows = movers.map((row) => [row.value, percent(row.share_before), percent(row.negative_share), moved(row)]);
  $("movers").replaceChildren(table([attribute, "before", "now", ""], rows));
}

async function again() {
  try {
    await show();
  } catch (error) {
    $("state").textContent = `no answer: ${error.message}`;
  }
}

for (const id of ["attribute", "kind"]) $(id).addEventListener("change", again);
again();
setInterval(again, AGAIN_MS);
