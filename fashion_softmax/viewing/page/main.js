"use strict";
// What all parts of the page share: the data, elements, words for values, and which settings are shown.

const data = JSON.parse(document.getElementById("data").textContent);
const settings = data.settings;
const MISSING = "\u2013";
const MAX_COLOURED = 12;
const DASHES = ["", "8 3", "2 3", "9 3 2 3"]; // four of them and six colours: twelve lines, no two alike

const state = {
  text: "", // that a setting must contain
  choices: new Map(), // key to the value a setting must have
  shown: [], // indices of the settings that pass, best first
  coloured: new Map(), // index to its place among the coloured
  hovered: null,
  pinned: null,
};
const whenFiltered = []; // called after other settings are shown
const whenFocused = []; // called with the index of the setting in focus, or null

const byId = (id) => document.getElementById(id);

// Texts of runs only ever become text nodes or attributes, never markup.
function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false)
      element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

function make(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function makeSvg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function showSection(id) {
  byId(id).hidden = false;
  const title = byId(id).querySelector("h2").textContent;
  byId("contents").append(make("a", { href: `#${id}` }, title));
}

const isAccuracy = (tag) => tag.endsWith("accuracy");
const unitOf = (tag) => (isAccuracy(tag) ? " %" : "");
const isNumber = (value) => typeof value === "number";
const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

function formatNumber(value, tag) {
  if (!isNumber(value)) return MISSING;
  if (isAccuracy(tag)) return (100 * value).toFixed(2);
  return tag === "lr" ? showValue(value) : value.toFixed(4);
}

function formatValue(value, tag) {
  return isNumber(value) ? formatNumber(value, tag) + unitOf(tag) : MISSING;
}

function formatPercent(fraction, digits = 1) {
  return isNumber(fraction) ? `${(100 * fraction).toFixed(digits)} %` : MISSING;
}

function formatMean(setting) {
  const spread = isNumber(setting.deviation) ? ` \u00b1 ${formatNumber(setting.deviation, data.metric)}` : "";
  return `${formatNumber(setting.mean, data.metric)}${spread}${unitOf(data.metric)}`;
}

const formatP = (test) => (test.p_value < 0.001 ? "< 0.001" : test.p_value.toFixed(3));

function nameMetric(tag) {
  if (tag === "lr") return "learning rate";
  return tag.replaceAll("/", " ").replaceAll("cross_entropy", "cross-entropy");
}

function nameAxis(tag) {
  if (isAccuracy(tag)) return `${nameMetric(tag)} in %`;
  return tag.endsWith("cross_entropy") ? `${nameMetric(tag)} in nats` : nameMetric(tag);
}

// A value as the terminal's tables show it.
function showValue(value) {
  if (!isNumber(value) || Number.isInteger(value)) return String(value);
  return String(Number(value.toPrecision(6)));
}

const hasKey = (setting, key) => Object.hasOwn(setting.hyperparameters, key);
const showKey = (setting, key) => (hasKey(setting, key) ? showValue(setting.hyperparameters[key]) : MISSING);

function cut(text, length) {
  return text.length > length ? `${text.slice(0, length - 1)}\u2026` : text;
}

// Numbers by value, before texts by their alphabet; what is missing comes last in either direction.
function compareValues(first, second, isDescending) {
  const [missing, other] = [first, second].map((value) => value === null || value === undefined);
  if (missing || other) return missing - other;
  const sign = isDescending ? -1 : 1;
  if (isNumber(first) && isNumber(second)) return sign * (first - second);
  if (isNumber(first) !== isNumber(second)) return sign * (isNumber(first) ? -1 : 1);
  return sign * String(first).localeCompare(String(second), "en", { numeric: true });
}

const names = settings.map((setting) => cut(setting.name, 120)); // what distinguishes each, such as `huber lr=0.1`
const searched = settings.map((setting, index) =>
  [
    names[index],
    setting.name,
    ...data.keys.map((key) => `${key}=${showKey(setting, key)}`),
    ...setting.runs.map((run) => run.name),
  ]
    .join(" ")
    .toLowerCase(),
);

function applyFilters() {
  const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
  const passes = (setting, index) =>
    words.every((word) => searched[index].includes(word)) &&
    [...state.choices].every(([key, value]) => showKey(setting, key) === value);
  state.shown = settings.map((setting, index) => index).filter((index) => passes(settings[index], index));
  state.coloured = new Map(state.shown.slice(0, MAX_COLOURED).map((index, place) => [index, place]));
  if (!state.shown.includes(state.pinned)) state.pinned = null;
  state.hovered = null;
  for (const draw of whenFiltered) draw();
  tellFocus();
}

function findRange(values) {
  return values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
}

// The class and the dashes that a setting's marks have.
function styleOf(index) {
  const place = state.coloured.get(index);
  return place === undefined
    ? { class: "grey", dashes: null }
    : { class: `c${place % 6}`, dashes: DASHES[place % DASHES.length] || null };
}

function makeSwatch(index) {
  const style = styleOf(index);
  const line = makeSvg("line", { x1: 0, x2: 26, y1: 6, y2: 6, "stroke-dasharray": style.dashes });
  return makeSvg("svg", { class: `swatch ${style.class}`, width: 26, height: 12, "aria-hidden": "true" }, line);
}

function tellFocus() {
  const index = state.hovered ?? state.pinned;
  for (const element of document.querySelectorAll(".on")) element.classList.remove("on");
  if (index !== null) {
    for (const element of document.querySelectorAll(`[data-setting="${index}"]`)) element.classList.add("on");
  }
  for (const tell of whenFocused) tell(index);
}

function hover(index) {
  if (state.hovered === index) return;
  state.hovered = index;
  tellFocus();
}

function togglePin(index) {
  state.pinned = state.pinned === index ? null : index;
  tellFocus();
}
