// What both kinds of charts are made of: scales, axes, and a tooltip at the nearest point.

const MARGIN = { left: 58, right: 16, top: 14, bottom: 46 };

function makeScale(values, from, to, { isLog = false, padding = 0.05 } = {}) {
  const bend = isLog ? Math.log10 : (value) => value;
  let [low, high] = findRange(values).map(bend);
  const room = high > low ? padding * (high - low) : isLog ? 0.3 : Math.abs(high) * 0.05 || 0.5;
  [low, high] = [low - room, high + room];
  const scale = (value) => from + ((bend(value) - low) / (high - low)) * (to - from);
  const unbend = (value) => (isLog ? 10 ** value : value);
  return Object.assign(scale, { isLog, low: unbend(low), high: unbend(high) });
}

// Ticks at 1, 2 or 5 times a power of ten, about `count` of them.
function findTicks(scale, count, isWhole = false) {
  if (scale.isLog) return findLogTicks(scale, count);
  const rough = (scale.high - scale.low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999), isWhole ? 1 : 0);
  const ticks = [];
  for (let place = Math.ceil(scale.low / step); place * step <= scale.high && ticks.length < 50; place += 1) {
    ticks.push(Number((place * step).toPrecision(12)));
  }
  return ticks;
}

function findLogTicks(scale, count) {
  const powers = [];
  for (let power = Math.floor(Math.log10(scale.low)); power <= Math.log10(scale.high); power += 1) powers.push(power);
  const every = Math.ceil(powers.length / count);
  const factors = powers.length > 3 ? [1] : [1, 2, 5];
  return powers
    .filter((power) => power % every === 0)
    .flatMap((power) => factors.map((factor) => Number((factor * 10 ** power).toPrecision(12))))
    .filter((tick) => tick >= scale.low && tick <= scale.high);
}

const showTick = (tick) =>
  Math.abs(tick) >= 1e5 || (tick && Math.abs(tick) < 1e-4) ? tick.toExponential() : showValue(tick);

// An empty chart as wide as its box: a grid with titles, to draw upon.
function makeFrame(box, height, label) {
  const width = Math.max(240, Math.floor(box.clientWidth) - 16);
  const svg = makeSvg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  box.replaceChildren(svg);
  return {
    svg,
    width,
    height,
    left: MARGIN.left,
    right: width - MARGIN.right,
    top: MARGIN.top,
    bottom: height - MARGIN.bottom,
  };
}

function drawAxes(frame, { x, y, xTicks, yTicks, xTitle, yTitle }) {
  const { svg, left, right, top, bottom } = frame;
  for (const tick of yTicks) {
    svg.append(makeSvg("line", { class: "grid", x1: left, x2: right, y1: y(tick), y2: y(tick) }));
    svg.append(makeSvg("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, showTick(tick)));
  }
  for (const tick of xTicks) {
    const place = x(tick.value ?? tick);
    svg.append(makeSvg("line", { class: "axis", x1: place, x2: place, y1: bottom, y2: bottom + 5 }));
    svg.append(makeSvg("text", { x: place, y: bottom + 18, "text-anchor": "middle" }, tick.text ?? showTick(tick)));
  }
  svg.append(makeSvg("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom }));
  svg.append(
    makeSvg("text", { class: "title", x: (left + right) / 2, y: bottom + 40, "text-anchor": "middle" }, xTitle),
  );
  const middle = (top + bottom) / 2;
  svg.append(
    makeSvg(
      "text",
      { class: "title", transform: `translate(13 ${middle}) rotate(-90)`, "text-anchor": "middle" },
      yTitle,
    ),
  );
}

// Tell of the point nearest to the pointer, and bring its setting to the front.
function addTooltip(box, frame, points, describe) {
  const tooltip = make("div", { class: "tooltip", role: "status", hidden: true });
  box.append(tooltip);
  const hide = () => {
    tooltip.hidden = true;
    hover(null);
  };
  const move = (event) => {
    const corner = frame.svg.getBoundingClientRect();
    const point = findNearest(points, event.clientX - corner.left, event.clientY - corner.top);
    if (!point) return hide();
    const [title, ...lines] = describe(point);
    tooltip.replaceChildren(make("b", {}, title), ...lines.map((line) => make("div", {}, line)));
    tooltip.hidden = false;
    const left = point.x + 8 > box.clientWidth / 2 ? point.x - tooltip.offsetWidth - 8 : point.x + 22;
    tooltip.style.left = `${Math.max(4, Math.min(left, box.clientWidth - tooltip.offsetWidth - 4))}px`;
    const top = Math.min(point.y - tooltip.offsetHeight / 2, box.clientHeight - tooltip.offsetHeight - 4);
    tooltip.style.top = `${Math.max(4, top)}px`;
    return hover(point.index);
  };
  frame.svg.addEventListener("pointermove", move);
  frame.svg.addEventListener("pointerdown", move);
  frame.svg.addEventListener("pointerleave", hide);
}

function findNearest(points, x, y, within = 60) {
  let nearest = null;
  let least = within ** 2;
  for (const point of points) {
    const distance = (point.x - x) ** 2 + (point.y - y) ** 2;
    if (distance < least) [nearest, least] = [point, distance];
  }
  return nearest;
}

// Draw again when the box has another width; text in a chart keeps its size.
function redrawWhenResized(box, draw) {
  let width = box.clientWidth;
  new ResizeObserver(() => {
    if (box.clientWidth === width) return;
    width = box.clientWidth;
    requestAnimationFrame(draw);
  }).observe(box);
}
