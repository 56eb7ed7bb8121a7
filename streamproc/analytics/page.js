/* Asks the API every few seconds and shows what it says. What is chosen is in the address, so that it can be sent on. */

import { legend, plot, told } from "./page.chart.js";
import { duration, make, moment, named, span } from "./page.parts.js";
import { ASKED, alertsTable, moversTable, windowsTable } from "./page.tables.js";

const AGAIN_MS = 5000;
const $ = (id) => document.getElementById(id);
let turn = 0;
let timer;

const link = (path, parameters) => `api/${path}?${new URLSearchParams(parameters)}`;

async function ask(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return answer.json();
}

/* list: the attribute whose keys are listed; kind: of windows; attribute, value: whose course is drawn; start: of the
   window that is marked in it. */
function read() {
  const said = new URLSearchParams(location.hash.slice(1));
  const of = (name, otherwise) => said.get(name) ?? otherwise;
  const course = { attribute: of("attribute", "all"), value: of("value", ""), start: of("start", "") };
  return { list: of("list", ""), kind: of("kind", "tumbling"), ...course };
}

function choose(change) {
  location.hash = new URLSearchParams({ ...read(), start: "", ...change });
}

function offer(select, names, chosen, text = (name) => name) {
  if (names.join() !== [...select.options].map((option) => option.value).join()) {
    select.replaceChildren(...names.map((name) => make("option", { value: name }, text(name))));
  }
  select.value = chosen;
}

function describe({ kind, size_ms: size, hop_ms: hop }) {
  return size === hop ? `${kind}, ${duration(size)}` : `${kind}, ${duration(size)} every ${duration(hop)}`;
}

/* Put new content in a place, and leave the keyboard where it was. */
function put(id, ...content) {
  const { attribute, value, start } = document.activeElement?.dataset ?? {};
  const inside = attribute !== undefined && $(id).contains(document.activeElement);
  $(id).replaceChildren(...content);
  const same = ({ dataset: one }) => one.attribute === attribute && one.value === value && one.start === start;
  if (inside) [...$(id).querySelectorAll("button")].find(same)?.focus();
}

function tellState(state) {
  const partitions = `${state.partitions.length} partition${state.partitions.length === 1 ? "" : "s"}`;
  const reading = state.ready ? "" : "; still reading, so numbers may grow";
  return state.watermark ? `recordings up to ${moment(state.watermark)}, ${partitions}${reading}` : `no results yet${reading}`;
}

function course(rows, state, windows, chosen) {
  const name = named(chosen.attribute, chosen.value);
  $("course").textContent = `Negative share of ${name}`;
  $("everything").hidden = chosen.attribute === "all";
  if (!state.watermark) return [make("p", { class: "note" }, "No results yet: a worker writes them, and streamproc publish announces recordings to it.")];
  if (!rows.length) return [make("p", { class: "note" }, `No ${windows.kind} window that is kept has results of ${name}.`)];
  const count = rows.length === ASKED ? `The latest ${ASKED}` : rows.length;
  const from = `${count} ${windows.kind} window${rows.length === 1 ? "" : "s"} with results: ${span(rows[0].window_start, rows.at(-1).window_end)}.`;
  const marked = rows.find((row) => String(row.window_start) === chosen.start);
  const mark = marked ? [make("p", { class: "note mark" }, `Marked: ${told(marked, state)}.`)] : [];
  return [plot(rows, state, windows, $("series").clientWidth, marked), ...mark, make("p", { class: "note" }, from), legend(state, windows)];
}

/* Of when the lists are, before there is a row in them. */
function tellWindows(state, windows, attribute) {
  const { window_start: start, window_end: end, size_ms: size } = windows;
  const overlap = windows.size_ms > windows.hop_ms ? "; of the windows that overlap, the one that ends next" : "";
  $("current").textContent = state.watermark ? `Current window by ${attribute}` : "Current window";
  $("moved").textContent = state.watermark ? `Top movers by ${attribute}` : "Top movers";
  $("when").textContent = state.watermark ? `${span(start, end)}${overlap}` : "";
  $("since").textContent = state.watermark ? `since ${span(start - size, end - size)}` : "";
}

async function show(mine) {
  const state = await ask("api/state");
  const names = state.attributes.filter((name) => name !== "all");
  const chosen = read();
  const attribute = names.includes(chosen.list) ? chosen.list : names.includes("agent") ? "agent" : (names[0] ?? "");
  const windows = state.windows.find((one) => one.kind === chosen.kind) ?? state.windows[0];
  const { kind } = windows;
  const known = chosen.attribute === "all" || names.includes(chosen.attribute);
  const of = known ? { attribute: chosen.attribute, value: chosen.value } : { attribute: "all", value: "" };
  const drawn = { ...of, kind, start: chosen.start };
  const urls = {
    windows: link("windows", { attribute, kind, most: ASKED }),
    movers: link("movers", { attribute, kind, most: ASKED }),
    alerts: link("alerts", { most: ASKED }),
  };
  const listed = attribute ? [ask(urls.windows), ask(urls.movers)] : [[], []];
  const [series, alerts, rows, movers] = await Promise.all([ask(link("series", { kind, ...of, most: ASKED })), ask(urls.alerts), ...listed]);
  if (mine !== turn) return;
  $("state").textContent = tellState(state);
  offer($("attribute"), names, attribute);
  const kinds = state.windows.map((one) => one.kind);
  offer($("kind"), kinds, kind, (name) => describe(state.windows[kinds.indexOf(name)]));
  put("series", ...course(series, state, windows, drawn));
  put("alerts", alertsTable(alerts, state, drawn, urls.alerts));
  tellWindows(state, windows, attribute || "key");
  if (!attribute) {
    for (const id of ["windows", "movers"]) put(id, make("p", { class: "note" }, "No result names a key yet, as streamproc publish --agent does."));
    return;
  }
  const wanted = $("find").value.trim().toLowerCase();
  const found = rows.filter((row) => row.value.toLowerCase().includes(wanted));
  put("windows", windowsTable(found, state, of, attribute, urls.windows, wanted !== ""));
  put("movers", moversTable(movers, state, of, attribute, urls.movers));
}

/* Now, and again some time after the answer: where that takes long, nothing is asked meanwhile. */
async function again() {
  clearTimeout(timer);
  turn += 1;
  const mine = turn;
  try {
    await show(mine);
  } catch (error) {
    if (mine === turn) $("state").textContent = `no answer, what stands here is from before: ${error.message}`;
  }
  if (mine === turn) timer = setTimeout(again, AGAIN_MS);
}

$("attribute").addEventListener("change", () => choose({ list: $("attribute").value, attribute: "all", value: "" }));
$("kind").addEventListener("change", () => choose({ kind: $("kind").value }));
$("everything").addEventListener("click", () => choose({ attribute: "all", value: "" }));
$("find").addEventListener("input", again);
document.querySelector("main").addEventListener("click", (event) => {
  const { attribute, value, kind, start } = event.target.dataset;
  if (start !== undefined) choose({ attribute, value, kind, start });
  else if (attribute !== undefined) choose({ attribute, value });
});
for (const name of ["hashchange", "resize"]) addEventListener(name, again);
again();
