// Small charts of the metric against each key that differs.

const MAX_NAMED = 6; // values of a key whose names fit below a panel
const isScored = data.keys.length > 0 && settings.length > 1;

function setUpPanels() {
  const keys = data.keys.filter((key) => new Set(settings.map((setting) => showKey(setting, key))).size > 1);
  if (!isScored || !keys.length) return;
  byId("by-key-title").textContent =
    `${nameMetric(data.metric).replace(/^./, (letter) => letter.toUpperCase())} by setting`;
  for (const key of keys.slice(0, 24)) {
    const box = make("div", { class: "chart card" });
    byId("panels").append(box);
    whenFiltered.push(() => drawPanel(box, key));
    redrawWhenResized(box, () => drawPanel(box, key));
  }
  showSection("by-key");
  whenFocused.push(drawPanelFocus);
}

function drawPanel(box, key) {
  const indices = state.shown.filter((index) => hasKey(settings[index], key) || !isNumericKey(key));
  if (!indices.length) {
    box.replaceChildren(make("p", { class: "fine" }, "No setting that is shown has this key."));
    return;
  }
  const frame = makeFrame(box, 240, `${nameAxis(data.metric)} by ${cut(key, 80)}; the table has the numbers`);
  const times = isAccuracy(data.metric) ? 100 : 1;
  const y = makeScale(
    settings.map((setting) => times * setting.mean),
    frame.bottom,
    frame.top,
  );
  const axis = isNumericKey(key) ? makeNumericAxis(frame, key) : makeNamedAxis(frame, key);
  const { x, xTicks, xTitle, groupOf } = axis;
  drawAxes(frame, { x, y, xTicks, yTicks: findTicks(y, 4), xTitle, yTitle: nameAxis(data.metric) });
  const groups = new Map();
  for (const index of indices) {
    const value = groupOf(settings[index]);
    if (!groups.has(value)) groups.set(value, []);
    groups.get(value).push({ index, middle: x(value), x: x(value), y: y(times * settings[index].mean) });
  }
  const ordered = [...groups.values()].sort((first, second) => first[0].middle - second[0].middle);
  const room = ordered
    .slice(1)
    .reduce((least, points, place) => Math.min(least, points[0].middle - ordered[place][0].middle), 120);
  const radius = indices.length > 150 ? 2.5 : 5;
  for (const points of ordered) spreadOut(points, radius, room / 2 - radius - 1);
  drawGroups(frame, ordered, { radius, halfBar: Math.min(11, room / 2), isJoined: isNumericKey(key) });
  addTooltip(box, frame, [...groups.values()].flat(), (point) => [
    names[point.index],
    `${nameMetric(data.metric)} ${formatMean(settings[point.index])}`,
    `rank ${settings[point.index].rank}`,
  ]);
}

// Dots that would hide each other go to the side, as far as there is room.
function spreadOut(points, radius, room) {
  const taken = new Map(); // offset to the last y there
  const number = Math.max(0, Math.floor(room / (2 * radius)));
  const offsets = Array.from({ length: 2 * number + 1 }, (_, place) => (place % 2 ? 1 : -1) * Math.ceil(place / 2));
  for (const point of [...points].sort((first, second) => first.y - second.y)) {
    const free = offsets.find((offset) => point.y - (taken.get(offset) ?? -Infinity) >= 2 * radius - 1);
    const offset = free ?? offsets[(point.index * 7) % offsets.length];
    point.x = point.middle + 2 * radius * offset;
    taken.set(offset, point.y);
  }
}

// The best of each value are joined, each value's mean is a bar, and the best settings lie on top.
function drawGroups(frame, groups, { radius, halfBar, isJoined }) {
  const bests = groups.map((points) =>
    points.reduce((best, point) => (settings[point.index].rank < settings[best.index].rank ? point : best)),
  );
  const line = bests.map((point) => `${point.middle},${point.y}`).join("L");
  if (isJoined && bests.length > 1) frame.svg.append(makeSvg("path", { class: "best-line", d: `M${line}` }));
  for (const points of groups) {
    const mean = points.reduce((sum, point) => sum + point.y, 0) / points.length;
    const x = points[0].middle;
    if (points.length > 1)
      frame.svg.append(makeSvg("line", { class: "mean-bar", x1: x - halfBar, x2: x + halfBar, y1: mean, y2: mean }));
  }
  for (const point of groups.flat().sort((first, second) => settings[second.index].rank - settings[first.index].rank)) {
    const { class: colour } = styleOf(point.index);
    frame.svg.append(
      makeSvg("circle", { class: `dot ${colour}`, cx: point.x, cy: point.y, r: radius, "data-setting": point.index }),
    );
  }
  frame.svg.append(makeSvg("g", { class: "focus" }));
}

function drawPanelFocus(index) {
  for (const layer of document.querySelectorAll("#panels .focus")) {
    const dot = index === null ? null : layer.parentNode.querySelector(`circle[data-setting="${index}"]`);
    const copy = dot?.cloneNode();
    copy?.setAttribute("r", 7);
    copy?.removeAttribute("data-setting");
    layer.replaceChildren(...(copy ? [copy] : []));
  }
}

function isNumericKey(key) {
  const values = settings.filter((setting) => hasKey(setting, key)).map((setting) => setting.hyperparameters[key]);
  return values.every(isNumber) && new Set(values).size > 1;
}

function makeNumericAxis(frame, key) {
  const groupOf = (setting) => setting.hyperparameters[key];
  const values = [...new Set(settings.filter((setting) => hasKey(setting, key)).map(groupOf))].sort(
    (first, second) => first - second,
  );
  const isLog = values[0] > 0 && values.at(-1) >= 10 * values[0];
  const x = makeScale(values, frame.left, frame.right, { isLog, padding: 0.08 });
  const fits = values.every(
    (value, place) => place === 0 || x(value) - x(values[place - 1]) > 9 * showTick(value).length,
  );
  return { x, groupOf, xTicks: fits ? values : findTicks(x, 5), xTitle: cut(isLog ? `${key}, logarithmic` : key, 48) };
}

function makeNamedAxis(frame, key) {
  const groupOf = (setting) => showKey(setting, key);
  const values = [...new Set(settings.map(groupOf))].sort((first, second) => compareValues(first, second, false));
  const step = (frame.right - frame.left) / values.length;
  const places = new Map(values.map((value, place) => [value, frame.left + step * (place + 0.5)]));
  const length = Math.max(3, Math.floor(step / 7));
  const every = Math.ceil(values.length / Math.max(MAX_NAMED, Math.floor((frame.right - frame.left) / 40)));
  const xTicks = values
    .filter((value, place) => place % every === 0)
    .map((value) => ({ value, text: cut(value, length * every) }));
  return { x: (value) => places.get(value), groupOf, xTicks, xTitle: cut(key, 48) };
}
