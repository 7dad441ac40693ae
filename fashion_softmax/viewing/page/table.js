// The leaderboard: a row for each setting, sorted by any column.

const rows = []; // of the leaderboard, by setting
const MAX_COLUMNS = 9; // that fit a screen; the others are shown when asked for
const sorting = { column: 0, isDescending: false };

function formatInterval(interval) {
  return interval ? `${formatNumber(interval[0], data.metric)} to ${formatNumber(interval[1], data.metric)}` : MISSING;
}

function formatBest(setting) {
  const value = formatValue(setting.best_epoch_mean, data.metric);
  const [low, high] = findRange(setting.runs.map((run) => run.best_epoch).filter(isNumber));
  return low > high ? value : `${value} (${low === high ? low : `${low}\u2013${high}`})`;
}

function listColumns() {
  const crossEntropy = `${data.split}/cross_entropy`;
  const columns = [
    { title: "#", value: (setting) => setting.rank, show: (setting) => String(setting.rank) },
    ...data.keys.map((key) => ({
      title: cut(key, 60),
      isText: true,
      value: (setting) =>
        hasKey(setting, key)
          ? isNumber(setting.hyperparameters[key])
            ? setting.hyperparameters[key]
            : showKey(setting, key)
          : null,
      show: (setting) => showKey(setting, key),
    })),
    { title: "seeds", value: (setting) => setting.num_seeds, show: (setting) => String(setting.num_seeds) },
    { title: nameMetric(data.metric), value: (setting) => setting.mean, show: formatMean },
    { title: "seeds and interval", draw: drawSpread, show: () => "" },
    {
      title: `95 % interval (${data.split} images)`,
      value: (setting) => setting.interval_images?.[0],
      show: (setting) => formatInterval(setting.interval_images),
    },
    { title: "p vs. best", value: (setting) => setting.against_best?.p_value, show: showP },
    {
      title: "worse in",
      value: (setting) => setting.against_best?.num_seeds_best_better,
      show: ({ against_best: test }) =>
        test?.num_seeds > 1 ? `${test.num_seeds_best_better} of ${test.num_seeds}` : MISSING,
    },
    {
      title: "test accuracy",
      value: (setting) => setting.test_accuracy,
      show: (setting) => formatPercent(setting.test_accuracy, 2),
    },
    { title: "in best epoch", value: (setting) => setting.best_epoch_mean, show: formatBest },
    {
      title: nameMetric(crossEntropy),
      value: (setting) => setting.cross_entropy,
      show: (setting) => formatNumber(setting.cross_entropy, crossEntropy),
    },
    {
      title: "seconds",
      value: (setting) => setting.seconds,
      show: (setting) =>
        isNumber(setting.seconds)
          ? setting.seconds.toFixed(1) + (setting.stack_size > 1 ? ` (${setting.stack_size})` : "")
          : MISSING,
    },
  ];
  const inFront = ["#", nameMetric(data.metric), "p vs. best", "seeds", ...data.keys.map((key) => cut(key, 60))];
  const isFirst = (column, place) => columns.findIndex((other) => other.title === column.title) === place;
  const shown = columns.filter(
    (column, place) => isFirst(column, place) && settings.some((setting) => column.show(setting) !== MISSING),
  );
  const urgency = ({ title }) => (inFront.includes(title) ? inFront.indexOf(title) : inFront.length);
  const extra = [...shown].sort((first, second) => urgency(first) - urgency(second)).slice(MAX_COLUMNS);
  for (const column of extra) column.isExtra = true;
  return shown;
}

// The blank is as wide as the sign, which keeps the numbers below each other.
function showP(setting) {
  const test = setting.against_best;
  if (!test) return MISSING;
  const isAhead = !test.distinguishable && test.p_value < 0.05;
  return `${isAhead ? "ahead" : formatP(test)} ${test.distinguishable ? "\u2007" : "\u2248"}`;
}

// Each seed's value as a dot, the mean as a bar, the interval (images) as a line; all rows on one scale.
function drawSpread(setting) {
  const [low, high] = spreadRange;
  const place = (value) => 5 + (70 * (value - low)) / (high - low || 1);
  const svg = makeSvg("svg", { class: "spread", width: 80, height: 18, "aria-hidden": "true" });
  const interval = setting.interval_images;
  if (interval)
    svg.append(makeSvg("line", { class: "range", x1: place(interval[0]), x2: place(interval[1]), y1: 9, y2: 9 }));
  svg.append(makeSvg("line", { class: "mean", x1: place(setting.mean), x2: place(setting.mean), y1: 2, y2: 16 }));
  for (const value of findSeedValues(setting)) svg.append(makeSvg("circle", { cx: place(value), cy: 9, r: 2.5 }));
  return svg;
}

const findSeedValues = (setting) => setting.runs.map((run) => run.metrics[data.metric]).filter(isNumber);
const spreadValues = settings.flatMap((setting) => [
  ...findSeedValues(setting),
  setting.mean,
  ...(setting.interval_images ?? []),
]);
const spreadRange = findRange(spreadValues);
const columns = listColumns();

function drawLeaderboard() {
  const head = byId("ranking").tHead.appendChild(make("tr"));
  columns.forEach((column, place) => {
    const button = column.draw ? column.title : make("button", { type: "button" }, column.title);
    if (!column.draw) button.addEventListener("click", () => sortBy(place));
    const kind = column.isText ? "text" : column.draw ? "wide" : null;
    head.append(make("th", { scope: "col", class: withExtra(column, kind) }, button));
  });
  settings.forEach((setting, index) => {
    const row = make("tr", {
      "data-setting": index,
      tabindex: -1,
      "aria-current": "false",
      class: index ? null : "best",
    });
    columns.forEach((column) => row.append(drawCell(column, setting)));
    rows.push(row);
  });
  const body = byId("ranking").tBodies[0];
  const indexOf = (event) => Number(event.target.closest("tr").dataset.setting);
  body.addEventListener("pointerover", (event) => event.target.closest("tr") && hover(indexOf(event)));
  body.addEventListener("pointerleave", () => hover(null));
  body.addEventListener("click", (event) => event.target.closest("tr") && togglePin(indexOf(event)));
  body.addEventListener("keydown", moveInTable);
  whenFiltered.push(updateRows);
  whenFocused.push(() =>
    rows.forEach((row, index) => row.setAttribute("aria-current", String(index === state.pinned))),
  );
}

const withExtra = (column, kind) => [kind, column.isExtra && "extra"].filter(Boolean).join(" ") || null;

function drawColumnSwitch() {
  const table = byId("ranking");
  const button = byId("all-columns");
  const update = () => {
    const isFew = table.classList.contains("few");
    button.textContent = isFew ? `All ${columns.length} columns` : "Fewer columns";
    button.setAttribute("aria-pressed", String(!isFew));
    document.querySelector(".swipe").hidden = table.offsetWidth <= table.parentElement.clientWidth;
  };
  button.hidden = columns.length <= MAX_COLUMNS;
  button.addEventListener("click", () => {
    table.classList.toggle("few");
    update();
  });
  window.addEventListener("resize", update);
  update();
}

function drawCell(column, setting) {
  const text = column.show(setting);
  if (column.title !== "#") {
    return make(
      "td",
      { class: withExtra(column, column.isText ? "text" : null), title: text.length > 30 ? text : null },
      column.draw ? column.draw(setting) : text,
    );
  }
  return make("td", {}, make("span", { class: "key" }), text);
}

function moveInTable(event) {
  const row = event.target.closest("tr");
  const steps = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" };
  if (event.key === "Enter" || event.key === " ") togglePin(Number(row.dataset.setting));
  else if (steps[event.key]) row[steps[event.key]]?.focus();
  else return;
  event.preventDefault();
}

function sortBy(place) {
  const isNew = sorting.column !== place;
  sorting.isDescending = isNew ? columns[place].title.endsWith("accuracy") : !sorting.isDescending; // the best first
  sorting.column = place;
  updateRows();
}

function updateRows() {
  const { value } = columns[sorting.column];
  const order = [...state.shown].sort(
    (first, second) =>
      compareValues(value(settings[first]), value(settings[second]), sorting.isDescending) || first - second,
  );
  for (const index of order) {
    rows[index].tabIndex = index === order[0] ? 0 : -1;
    rows[index].querySelector(".key").replaceChildren(makeSwatch(index));
  }
  byId("ranking").tBodies[0].replaceChildren(...order.map((index) => rows[index]));
  [...byId("ranking").tHead.rows[0].cells].forEach((cell, place) => {
    if (place === sorting.column) cell.setAttribute("aria-sort", sorting.isDescending ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
  });
}
