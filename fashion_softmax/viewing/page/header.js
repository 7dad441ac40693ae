// What the page is about, in a line and a few large figures.

const hasOneRun = settings.length === 1 && settings[0].runs.length === 1;

function drawHeader() {
  const numRuns = settings.reduce((sum, setting) => sum + setting.runs.length, 0);
  const ranked = settings.length
    ? `${plural(settings.length, "setting")}, ${plural(numRuns, "run")}, ` +
      `ranked by ${nameMetric(data.metric)} (${data.reason}).`
    : "No run was trained to its end, so none is ranked.";
  byId("summary").append(`${ranked} Made on `, make("time", { datetime: data.date }, data.date.slice(0, 16)), ".");
  if (data.split === "test" && settings.length > 1) {
    byId("notice").hidden = false;
    byId("notice").append(
      "Ranked on the test images: they both choose the best setting and measure it, ",
      "so its value is a little too good. ",
      "Validation images that are held out choose more honestly.",
    );
  }
  for (const [title, value, note] of findFigures()) {
    byId("figures").append(make("div", {}, make("dt", {}, title), make("dd", {}, value, make("small", {}, note))));
  }
}

function findFigures() {
  const figures = [];
  const best = settings[0];
  if (best) {
    figures.push([hasOneRun ? "Run" : "Best setting", cut(names[0], 60), plural(best.runs.length, "seed")]);
    const interval = best.interval_images;
    const note = interval ? `95 % interval ${formatInterval(interval)} (images)` : "";
    figures.push([`${hasOneRun ? "Its" : "Best"} ${nameMetric(data.metric)}`, formatMean(best), note]);
    const tested = settings.filter((setting) => setting.against_best);
    const alike = tested.filter((setting) => !setting.against_best.distinguishable);
    if (tested.length)
      figures.push([
        "Not told from the best",
        plural(alike.length, "other setting"),
        `of ${tested.length} tested`,
      ]);
  }
  if (data.unfinished.length) {
    const states = [...new Set(data.unfinished.map((run) => run.state))];
    figures.push(["Not ranked", plural(data.unfinished.length, "run"), cut(states.join(", "), 80)]);
  }
  return figures;
}
