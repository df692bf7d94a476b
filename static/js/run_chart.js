// The Runs page's chart: one metric of the chosen run, and of those compared with it.
(() => {
  "use strict";
  const studio = window.studio, { el, fill, count, measure, watcher } = studio, { learns } = watcher;
  const CHART_SCRIPTS = ["ui-vendor/bokeh.min.js", "ui/js/chart.js"]; // large: the list does not wait for them

  /** What happened to a metric, as a sentence. */
  function story(row, curve, words, label) {
    const finite = curve.values.filter((value) => value !== null);
    if (!finite.length) return fill(words.story_none, { name: row.name, metric: label });
    const numbers = { first: measure(finite[0]), last: measure(finite.at(-1)), steps: count(curve.steps.at(-1)) };
    return fill(words.story, { name: row.name, metric: label, ...numbers });
  }

  /** The chart with its metric, its smoothing, and a line of text for each curve. */
  studio.runChart = (element, props) => {
    const words = props.words;
    const select = el("select"), range = el("input", { type: "range", min: 0, max: 0.98, step: 0.02, value: watcher.keep });
    const reset = el("button", { type: "button", class: "quiet" }, words.reset);
    const host = el("div", { class: "chart", "aria-hidden": "true" }), blank = el("p", { class: "blank" }), legend = el("ul", { class: "legend" });
    element.append(
      el("div", { class: "chart-bar" }, el("h2", { class: "ct" }, words.title), el("label", {}, words.metric, select), el("label", {}, words.smoothing, range), reset),
      el("div", { class: "stage" }, host, blank), legend);
    const labelOf = (key) => words[`metric.${key}`] || ofReward(key) || key;
    const ofReward = (key) => {
      const [, name, end] = /^rewards\/(.+)\/(\w+)$/.exec(key) || [];
      return name && words[`metric.of.${end}`] && fill(words[`metric.of.${end}`], { name });
    };
    let chart = null, pointed = null, isReady = false, isFailed = false;
    const visible = () => watcher.shown().filter((id) => watcher.curves.has(id) && learns(watcher.row(id))).reverse();
    const point = (step) => {
      pointed = step;
      tell();
    };
    const draw = () => {
      studio.redraw(select, ...[...new Set([...watcher.keys, watcher.key])].map((key) => el("option", { value: key, selected: key === watcher.key }, labelOf(key))));
      const shown = visible();
      blank.hidden = shown.some((id) => watcher.curve(id).steps.length);
      blank.textContent = watcher.row(watcher.chosen) && !learns(watcher.row(watcher.chosen)) ? words.blank_check : isFailed ? words.no_chart : words.blank;
      if (!chart && isReady && blank.hidden && studio.isSeen(host)) chart = studio.makeChart(host, { xLabel: words.step, onPoint: point });
      if (chart && studio.isSeen(host)) {
        chart.show(shown.map((id) => ({ id, name: watcher.row(id).name, colour: watcher.colours.get(id), ...watcher.curve(id) })), watcher.keep);
      }
      tell();
    };
    const tell = () => studio.redraw(legend, ...visible().map((id) => {
      const row = watcher.row(id), curve = watcher.curve(id);
      const at = pointed === null ? -1 : curve.steps.findLastIndex((step) => step <= pointed);
      const here = at < 0 ? null : fill(words.at_step, { step: count(curve.steps[at]), value: measure(curve.values[at]) });
      return el("li", { style: `--colour: var(${watcher.colours.get(id)})` }, el("span", { class: "swatch" }),
        el("span", {}, story(row, curve, words, labelOf(watcher.key))), here ? el("b", {}, here) : null);
    }));
    select.addEventListener("change", () => watcher.measure(select.value));
    range.addEventListener("input", () => watcher.smooth(Number(range.value)));
    reset.addEventListener("click", () => chart?.reset());
    watcher.attach(element, draw);
    Promise.all(CHART_SCRIPTS.map(studio.script)).then(() => {
      isReady = true;
      draw();
    }, () => {
      isFailed = true;
      draw();
    });
  };
})();
