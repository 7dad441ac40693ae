// What is around the leaderboard: filters, the chosen setting's runs, explanations, and the runs that are not ranked.

function drawFilters() {
  const form = byId("filters");
  form.addEventListener("submit", (event) => event.preventDefault());
  const count = make("output", { id: "count" });
  whenFiltered.push(() =>
    count.replaceChildren(`${state.shown.length.toLocaleString("en")} of ${plural(settings.length, "setting")} shown`),
  );
  if (settings.length < 2) {
    form.hidden = true;
    return;
  }
  const search = make("input", { type: "search", id: "search", placeholder: "such as huber 0.1", autocomplete: "off" });
  search.addEventListener("input", () => {
    state.text = search.value;
    applyFilters();
  });
  const selects = data.keys.map(makeKeyFilter);
  const reset = make("button", { type: "button" }, "Show all");
  reset.addEventListener("click", () => {
    state.text = search.value = "";
    state.choices.clear();
    for (const label of selects) label.querySelector("select").value = "";
    applyFilters();
  });
  whenFiltered.push(() => (reset.hidden = state.shown.length === settings.length));
  form.append(make("label", {}, "Search", search), ...selects, reset, count);
}

// A select with every value of a key; options are known by their place, since a value may be any text.
function makeKeyFilter(key) {
  const values = new Map();
  for (const setting of settings) {
    values.set(showKey(setting, key), hasKey(setting, key) ? setting.hyperparameters[key] : null);
  }
  const shown = [...values].sort((first, second) => compareValues(first[1], second[1], false)).map(([text]) => text);
  const select = make("select", { "data-key": key }, make("option", { value: "" }, "all"));
  shown.forEach((text, place) => select.append(make("option", { value: place }, cut(text, 60))));
  select.addEventListener("change", () => {
    if (select.value === "") state.choices.delete(key);
    else state.choices.set(key, shown[Number(select.value)]);
    applyFilters();
  });
  return make("label", {}, cut(key, 60), select);
}

function drawSelected() {
  const box = byId("selected");
  box.hidden = state.pinned === null;
  if (box.hidden) return;
  const setting = settings[state.pinned];
  const list = make("ul");
  for (const run of setting.runs) {
    const best = isNumber(run.best_epoch) ? `, best epoch ${run.best_epoch}` : "";
    const value = formatValue(run.metrics[data.metric], data.metric);
    list.append(make("li", {}, `seed ${showValue(run.seed)}: ${value}${best}, folder ${run.name}`));
  }
  const test = setting.against_best;
  const words = test
    ? `Against the best, seed ${showValue(test.seed)}: ` +
      `the best alone is right on ${plural(test.only_best_correct, "image")}, ` +
      `this one alone on ${test.only_this_correct} (p ${test.p_value < 0.001 ? "" : "= "}${formatP(test)}); ` +
      `${test.distinguishable ? "the best is better" : "it cannot be told from the best"}.`
    : null;
  box.replaceChildren(
    make("h3", {}, `${setting.rank}. ${names[state.pinned]}: ${formatMean(setting)}`),
    words ?? "",
    list,
  );
  box.scrollIntoView({ block: "nearest" }); // it stands below the table, which may be long
}

function explain() {
  const lines = [];
  const has = (find) => settings.some((setting) => find(setting) !== null);
  if (has((setting) => setting.deviation)) {
    lines.push(
      "\u00b1 is the standard deviation over seeds. In the column of dots: one for each seed, a bar at the mean.",
    );
  }
  if (has((setting) => setting.interval_images)) {
    lines.push(`95 % interval (${data.split} images): where the accuracy on endlessly many such images would lie.`);
  }
  if (has((setting) => setting.against_best)) {
    lines.push(
      "p: McNemar's test against the best on the same test images, in the middle one of the seeds. " +
        "\u2248 marks what cannot be told from the best (not behind it with p < 0.05). " +
        "Worse in: seeds in which it is behind the best with p < 0.05.",
    );
  }
  if (settings.some((setting) => setting.runs.some((run) => isNumber(run.best_epoch)))) {
    lines.push("In best epoch: the value in each run's best epoch, averaged; in brackets which epoch that was.");
  }
  if (settings.some((setting) => setting.stack_size > 1)) {
    lines.push("Seconds: of the whole stack that a run was trained in, of so many runs.");
  }
  if (data.num_repeated) {
    lines.push(`${plural(data.num_repeated, "run")} left out, since a later one has the same settings and seed.`);
  }
  if (settings.length > 1)
    lines.push("Click on a title to sort, on a row to keep its curve in front and see its runs.");
  byId("explanations").append(...lines.map((line) => make("li", {}, line)));
  const shared = Object.entries(data.shared);
  byId("shared").hidden = !shared.length;
  if (settings.length === 1) byId("shared").querySelector("summary").textContent = "All settings of this run";
  for (const [key, value] of shared) {
    byId("shared")
      .querySelector("dl")
      .append(make("dt", {}, key), make("dd", {}, showValue(value)));
  }
}

function drawUnfinished() {
  const table = byId("failures");
  const titles = ["run", "state", "epochs", `${nameMetric(data.metric)} so far`, "reason"];
  const head = table.tHead.appendChild(make("tr"));
  titles.forEach((title, place) =>
    head.append(make("th", { scope: "col", class: (place % 2 && place < 3) || place === 4 ? "text" : null }, title)),
  );
  for (const run of data.unfinished) {
    table.tBodies[0].append(
      make(
        "tr",
        {},
        make("td", { class: "text", title: run.name }, run.name),
        make("td", { class: "text" }, make("span", { class: "state" }, run.state)),
        make("td", {}, String(run.num_epochs)),
        make("td", {}, formatValue(run.metrics[data.metric], data.metric)),
        make("td", { class: "reason" }, makeReason(run.error ?? MISSING)),
      ),
    );
  }
}

function makeReason(text) {
  if (text.length <= 200) return text;
  return make("details", {}, make("summary", {}, cut(text, 160)), text);
}
