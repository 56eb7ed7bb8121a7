/* What the page is made of: nodes, numbers and times as people read them. */

const SVG = "http://www.w3.org/2000/svg";
const MINUTE_MS = 60_000;
export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

export function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

export function draw(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

export const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(1)} %`);

/* With its sign, as a change is read. */
export const signed = (number, digits) => (number === null ? "–" : `${number > 0 ? "+" : number < 0 ? "−" : ""}${Math.abs(number).toFixed(digits)}`);

/* A value as it is, in quotes where it could not be seen or clicked. */
export const shown = (value) => (value === value.trim() && value ? value : JSON.stringify(value));

export const named = (attribute, value) => (attribute === "all" ? "all results" : `${attribute} ${shown(value)}`);

export function duration(ms) {
  const [unit, name] = [[86_400_000, "d"], [3_600_000, "h"], [MINUTE_MS, "min"], [1000, "s"]].find(([one]) => ms % one === 0);
  return `${ms / unit} ${name}`;
}

/* Whether a moment has the same clock here as in UTC. */
export const atUtc = (ms) => new Date(ms).getTimezoneOffset() === 0;

/* Date and time of a moment: in UTC, or here. */
function parts(ms, here) {
  const moved = here ? ms - new Date(ms).getTimezoneOffset() * MINUTE_MS : ms;
  const text = new Date(moved).toISOString();
  return [text.slice(0, 10), text.slice(11, ms % MINUTE_MS ? 19 : 16)];
}

export const date = (ms, here = false) => parts(ms, here)[0];
export const clock = (ms, here = false) => parts(ms, here)[1];

function stretch(start, end, here, known) {
  const [[day, begins], [lastDay, ends]] = [parts(start, here), parts(end, here)];
  return `${day === known ? "" : `${day} `}${begins} – ${day === lastDay ? "" : `${lastDay} `}${ends}`;
}

/* A moment in UTC, and here where that differs. */
export function moment(ms) {
  const [there, here] = [parts(ms, false), parts(ms, true)];
  const local = (there[0] === here[0] ? [here[1]] : here).join(" ");
  return `${there.join(" ")} UTC${atUtc(ms) ? "" : ` (${local} ${ZONE})`}`;
}

/* From one moment to another, in UTC, and here where that differs. */
export function span(start, end) {
  const there = `${stretch(start, end, false)} UTC`;
  return atUtc(start) ? there : `${there} (${stretch(start, end, true, date(start))} ${ZONE})`;
}
