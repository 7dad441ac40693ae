// What predictions show: confusions and mistakes of the best run, and which run sees what; then the page is started.

const nameClass = (label) =>
  Object.hasOwn(data.class_names, label) ? cut(data.class_names[label], 40) : String(label);

function drawBest() {
  const { best } = data;
  const right = best.num_images - best.num_wrong;
  byId("best-summary").append(
    hasOneRun ? "" : `Rank ${best.rank}: `,
    `${names[best.rank - 1]}, seed ${showValue(best.seed)} (folder ${best.run}): `,
    `${right.toLocaleString("en")} of ${plural(best.num_images, "test image")} right, `,
    `${formatPercent(right / best.num_images, 2)}. `,
    best.rank > 1 ? "The better ones left no predictions." : "",
  );
  byId("confusion").append(make("h3", {}, "Confusion matrix"));
  if (best.counts)
    byId("confusion").append(
      make(
        "div",
        { class: "scroller", tabindex: 0, role: "region", "aria-label": "Confusion matrix, scrolls sideways" },
        makeConfusion(best.counts),
      ),
    );
  else byId("confusion").append(make("p", { class: "fine" }, "The classes are too many for a table."));
  if (!best.mistakes.length) return;
  byId("mistakes").append(make("h3", {}, "Its most confident mistakes"));
  if (data.without_pictures) {
    byId("mistakes").append(make("p", { class: "notice" }, `Pictures are left out: ${data.without_pictures}.`));
    return;
  }
  const cards = best.mistakes.map((mistake) =>
    makeCard(
      mistake.index,
      `${nameClass(mistake.true)} \u2192 ${nameClass(mistake.taken_for)}`,
      `${formatPercent(mistake.confidence)} sure`,
    ),
  );
  const text = "What the picture is, what the run takes it for, and how sure it is of that.";
  byId("mistakes").append(make("p", { class: "fine" }, text), make("div", { class: "cards" }, ...cards));
}

function makeCard(index, title, note) {
  const picture = make("img", { src: data.pictures[index], alt: title });
  return make("figure", { class: "card" }, picture, make("figcaption", {}, title, make("span", {}, note)));
}

// Rows are true classes, columns predicted ones; darker where a larger share of the row goes.
function makeConfusion(counts) {
  const head = make("tr", {}, make("th", { class: "corner", scope: "col" }, "true \u2193  predicted \u2192"));
  counts.forEach((row, label) =>
    head.append(make("th", { scope: "col" }, make("span", { class: "name" }, nameClass(label)))),
  );
  head.append(make("th", { scope: "col" }, "right"));
  const body = make("tbody");
  counts.forEach((row, label) => {
    const total = row.reduce((sum, count) => sum + count, 0);
    const line = make("tr", {}, make("th", { scope: "row" }, nameClass(label)));
    row.forEach((count, predicted) => line.append(makeCount(count, total, label, predicted)));
    const share = total ? row[label] / total : null;
    const bar = make("span", { class: "bar", "aria-hidden": "true" });
    bar.style.setProperty("--share", (share ?? 0).toFixed(3));
    line.append(make("td", {}, formatPercent(share), bar));
    body.append(line);
  });
  return make("table", { class: "confusion" }, make("thead", {}, head), body);
}

function makeCount(count, total, label, predicted) {
  const share = total ? count / total : 0;
  const kind = `count${share > 0.7 ? " dark" : ""}${count ? "" : " none"}${label === predicted ? " right" : ""}`;
  const title = `${nameClass(label)} taken for ${nameClass(predicted)}: ${count} of ${total}, ${formatPercent(share)}`;
  const cell = make("td", { class: kind, title }, String(count));
  cell.style.setProperty("--share", share.toFixed(3));
  return cell;
}

function drawSees() {
  const { sees } = data;
  const number = sees.groups.length;
  const more = sees.num_values > number ? ` (the best ${number} of ${sees.num_values})` : "";
  byId("sees-summary").append(
    `The best run of each ${cut(sees.key, 80)}${more}, image by image. `,
    `Of ${plural(sees.num_images, "test image")}, all ${number} runs get `,
    `${sees.num_all_right.toLocaleString("en")} right and ${sees.num_none_right.toLocaleString("en")} wrong.`,
  );
  if (Object.keys(data.pictures).length) {
    const text =
      "The pictures are what one run alone gets right: what it is, and what the best of the other runs takes it for.";
    byId("sees-summary").after(make("p", { class: "fine" }, text));
  }
  if (data.without_pictures)
    byId("groups").append(make("p", { class: "notice" }, `Pictures are left out: ${data.without_pictures}.`));
  for (const group of sees.groups) byId("groups").append(makeGroup(group, sees.num_images));
}

function makeGroup(group, numImages) {
  const words =
    `${names[group.rank - 1]} (rank ${group.rank}, folder ${group.run}): ` +
    `${formatPercent(group.num_right / numImages, 2)} right, ` +
    `alone right on ${plural(group.num_alone, "image")}.`;
  const cards = group.images
    .filter((image) => image.index in data.pictures)
    .map((image) => makeCard(image.index, nameClass(image.true), `taken for ${nameClass(image.taken_for)}`));
  const box = make(
    "div",
    { class: "group card" },
    make("h3", {}, cut(group.value || MISSING, 120)),
    make("p", {}, words),
  );
  if (cards.length) box.append(make("div", { class: "cards" }, ...cards));
  return box;
}

function start() {
  drawHeader();
  if (settings.length) {
    showSection("leaderboard");
    drawFilters();
    drawLeaderboard();
    whenFocused.push(drawSelected);
    explain();
    setUpCurves();
    setUpPanels();
  }
  if (data.best) {
    if (hasOneRun) byId("best").querySelector("h2").textContent = "Its answers";
    showSection("best");
    drawBest();
  }
  if (data.sees) {
    showSection("sees");
    drawSees();
  }
  if (data.unfinished.length) {
    showSection("unfinished");
    drawUnfinished();
  }
  applyFilters();
  if (settings.length) drawColumnSwitch(); // when the rows are there, so that their width can be measured
}

start();
