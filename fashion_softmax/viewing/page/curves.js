// A curve for each setting that passes the filters: the mean over seeds, and a band from the lowest to the highest seed.

const MAX_GREY = 200; // lines; more would only be a grey area
const curves = { tag: null, frame: null, x: null, y: null };

function listTags() {
  const found = new Set(data.curves.flatMap((curve) => Object.keys(curve.values)));
  return [...found].sort((first, second) => (second === data.metric) - (first === data.metric));
}

function setUpCurves() {
  const tags = listTags();
  if (!tags.length) return;
  curves.tag = tags[0];
  const select = byId("metric");
  select.append(...tags.map((tag) => make("option", { value: tag }, nameMetric(tag))));
  select.addEventListener("change", () => {
    curves.tag = select.value;
    drawCurves();
  });
  showSection("curves");
  whenFiltered.push(drawCurves, drawLegend);
  whenFocused.push(drawFocus);
  redrawWhenResized(byId("curve-chart"), drawCurves);
}

// A setting's points of the chosen metric: epoch and values, percent for accuracies.
function listPoints(index) {
  const { epochs, values } = data.curves[index];
  if (!Object.hasOwn(values, curves.tag)) return [];
  const { mean, low, high } = values[curves.tag];
  const times = isAccuracy(curves.tag) ? 100 : 1;
  return epochs
    .map((epoch, place) => ({ index, epoch, mean: mean[place], low: low?.[place], high: high?.[place] }))
    .filter((point) => isNumber(point.mean))
    .map((point) => ({
      ...point,
      mean: times * point.mean,
      low: times * (point.low ?? point.mean),
      high: times * (point.high ?? point.mean),
    }));
}

function drawCurves() {
  const box = byId("curve-chart");
  const lines = state.shown.map(listPoints).filter((points) => points.length);
  const grey = lines.filter((points) => !state.coloured.has(points[0].index));
  const drawn = [
    ...grey.slice(0, MAX_GREY).reverse(),
    ...lines.filter((points) => state.coloured.has(points[0].index)).reverse(),
  ];
  noteCurves(lines.length, grey.length);
  if (!drawn.length) {
    curves.frame = null;
    box.replaceChildren(make("p", { class: "fine" }, "No setting that is shown has this metric."));
    return;
  }
  const frame = makeFrame(
    box,
    box.clientWidth < 500 ? 300 : 400,
    `${nameAxis(curves.tag)} by epoch; the table has the numbers`,
  );
  const points = drawn.flat();
  const values = points.flatMap((point) => (state.coloured.has(point.index) ? [point.low, point.high] : [point.mean]));
  const [low, high] = findRange(values);
  const isWide = !isAccuracy(curves.tag) && low > 0 && high >= 50 * low;
  const x = makeScale(
    points.map((point) => point.epoch),
    frame.left,
    frame.right,
    { padding: 0.02 },
  );
  const y = makeScale(values, frame.bottom, frame.top, { isLog: isWide });
  const xTicks = findTicks(x, frame.width / 70, true).filter((tick) => tick >= 1);
  const yTitle = isWide ? `${nameAxis(curves.tag)}, logarithmic` : nameAxis(curves.tag);
  drawAxes(frame, { x, y, xTicks, yTicks: findTicks(y, 6), xTitle: "epoch", yTitle });
  frame.svg.append(
    makeSvg("g", { class: "lines" }, ...drawn.flatMap((line) => drawLine(line, x, y))),
    makeSvg("g", { class: "focus" }),
  );
  Object.assign(curves, { frame, x, y });
  const placed = points.map((point) => ({ ...point, x: x(point.epoch), y: y(point.mean) }));
  addTooltip(box, frame, placed, describePoint);
}

function describePoint(point) {
  const text = (value) => (isAccuracy(curves.tag) ? `${value.toFixed(2)} %` : formatNumber(value, curves.tag));
  const range = point.high > point.low ? `, seeds ${text(point.low)} to ${text(point.high)}` : "";
  return [names[point.index], `epoch ${point.epoch}`, `${nameMetric(curves.tag)} ${text(point.mean)}${range}`];
}

// The band below the line, and dots where there is but one epoch.
function drawLine(points, x, y) {
  const { index } = points[0];
  const style = styleOf(index);
  const path = (key, list) => list.map((point) => `${x(point.epoch).toFixed(1)},${y(point[key]).toFixed(1)}`).join("L");
  const parts = [];
  if (style.class !== "grey" && points.some((point) => point.high > point.low)) {
    parts.push(
      makeSvg("path", {
        class: `band ${style.class}`,
        d: `M${path("high", points)}L${path("low", [...points].reverse())}Z`,
      }),
    );
  }
  if (points.length === 1) {
    const place = { cx: x(points[0].epoch), cy: y(points[0].mean) };
    if (points[0].high > points[0].low) {
      parts.push(
        makeSvg("line", {
          class: `line ${style.class}`,
          x1: place.cx,
          x2: place.cx,
          y1: y(points[0].low),
          y2: y(points[0].high),
        }),
      );
    }
    parts.push(makeSvg("circle", { class: `dot ${style.class}`, r: 5, ...place, "data-setting": index }));
  } else {
    const attributes = { "stroke-dasharray": style.dashes, "data-setting": index, d: `M${path("mean", points)}` };
    parts.push(makeSvg("path", { class: `line ${style.class}`, ...attributes }));
  }
  return parts;
}

// The setting in focus is drawn once more, on top of the others, which step back.
function drawFocus(index) {
  if (!curves.frame) return;
  const { svg } = curves.frame;
  const points = index === null ? [] : listPoints(index);
  svg.classList.toggle("focusing", points.length > 0);
  svg.querySelector(".focus").replaceChildren(...(points.length ? drawLine(points, curves.x, curves.y) : []));
}

function drawLegend() {
  const items = [...state.coloured.keys()].map((index) => {
    const button = make("button", { type: "button", "data-setting": index }, makeSwatch(index), names[index]);
    button.addEventListener("pointerenter", () => hover(index));
    button.addEventListener("pointerleave", () => hover(null));
    button.addEventListener("click", () => togglePin(index));
    return make("li", {}, button);
  });
  byId("legend").replaceChildren(...items);
}

function noteCurves(numLines, numGrey) {
  const lines = [];
  if (settings.some((setting) => setting.runs.length > 1))
    lines.push("Lines are means over seeds, bands reach from the lowest to the highest seed.");
  if (numGrey)
    lines.push(
      `The best ${numLines - numGrey} are in colour, ` +
        `${numGrey > MAX_GREY ? `${MAX_GREY} of ${numGrey} others` : "the others"} in grey.`,
    );
  byId("curve-note").textContent = lines.join(" ");
}
