// The Runs page's chart: one metric of the chosen run, and of those compared with it. A thin line as measured and a bold one
// smoothed for each run, drawn by BokehJS.
(() => {
  "use strict";
  const studio = window.studio, { el, fill, count, measure, watcher } = studio, { learns } = watcher;
  const BOKEH = "ui-vendor/bokeh.min.js"; // large: the list does not wait for it
  const HEIGHT_PX = 320;
  const RAW_ALPHA = 0.28;


  /** Exponential moving average of `values`; null and NaN stay gaps. Bias-corrected, so that it starts at the data. */
  function smoothed(values, keep) {
    let mean = 0, weight = 0;
    return values.map((value) => {
      if (value === null || Number.isNaN(value)) return NaN;
      mean = keep * mean + (1 - keep) * value;
      weight = keep * weight + (1 - keep);
      return mean / weight;
    });
  }

  const token = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

  /**
   * Make an empty chart in `host`.
   * show(curves, keep): curves are {id, name, colour (a CSS variable), steps, values}; keep is 0 (as measured) to 0.99.
   * onPoint(step) tells where the visitor points, with null when they leave.
   */
  function makeChart(host, { xLabel, onPoint }) {
    const M = window.Bokeh.Models;
    const x = new M.DataRange1d({ range_padding: 0.02, only_visible: true });
    const y = new M.DataRange1d({ range_padding: 0.06, only_visible: true });
    const axes = [
      new M.LinearAxis({ axis_label: xLabel, axis_label_text_font_style: "normal", ticker: new M.BasicTicker({ min_interval: 1 }), formatter: new M.NumeralTickFormatter({ format: "0,0" }) }),
      new M.LinearAxis({}),
    ];
    const grids = axes.map((axis, dimension) => new M.Grid({ axis, dimension }));
    const drag = new M.BoxZoomTool({ dimensions: "auto" });
    const reset = new M.ResetTool({});
    const hover = new M.CrosshairTool({ dimensions: "height", line_width: 1 });
    const plot = new M.Plot({
      x_range: x, y_range: y, height: HEIGHT_PX, sizing_mode: "stretch_width", min_border_right: 12, output_backend: "canvas",
      toolbar: new M.Toolbar({ tools: [drag, new M.PanTool({}), reset, hover], active_drag: drag, logo: null }),
      toolbar_location: null, below: [axes[0]], left: [axes[1]], center: grids,
    });
    const lines = new Map(); // run id -> {raw, smooth: GlyphRenderer, colour}

    function line(name, alpha, width) {
      return new M.GlyphRenderer({
        data_source: new M.ColumnDataSource({ data: { x: [], y: [] } }), name,
        glyph: new M.Line({ x: { field: "x" }, y: { field: "y" }, line_width: width, line_alpha: alpha, line_join: "round" }),
      });
    }

    function paint() {
      const [text, grid] = [token("--st-sub"), token("--st-line")];
      for (const axis of axes) {
        axis.setv({ axis_line_color: grid, major_tick_line_color: grid, minor_tick_line_color: null, major_label_text_color: text, axis_label_text_color: text });
      }
      for (const each of grids) each.grid_line_color = grid;
      hover.line_color = text;
      plot.setv({ background_fill_color: null, border_fill_color: null, outline_line_color: null });
      for (const { raw, smooth, colour } of lines.values()) {
        for (const renderer of [raw, smooth]) renderer.glyph.line_color = { value: token(colour) || "gray" };
      }
    }

    function show(curves, keep) {
      const ids = new Set(curves.map((curve) => curve.id));
      for (const id of lines.keys()) if (!ids.has(id)) lines.delete(id);
      for (const { id, name, colour, steps, values } of curves) {
        if (!lines.has(id)) lines.set(id, { raw: line(name, RAW_ALPHA, 1), smooth: line(name, 1, 2.2), colour });
        const { raw, smooth } = lines.get(id);
        const measured = values.map((value) => (value === null ? NaN : value));
        raw.visible = keep > 0;
        raw.data_source.data = { x: steps, y: measured };
        smooth.data_source.data = { x: steps, y: keep > 0 ? smoothed(measured, keep) : measured };
        smooth.name = name;
      }
      const renderers = [...lines.values()].flatMap(({ raw, smooth }) => [raw, smooth]);
      if (renderers.length !== plot.renderers.length || renderers.some((one, index) => one !== plot.renderers[index])) {
        plot.renderers = renderers;
      }
      paint();
    }

    const bokehDocument = new (window.Bokeh.require("document").Document)();
    bokehDocument.add_root(plot);
    window.Bokeh.embed.add_document_standalone(bokehDocument, host);
    host.addEventListener("dblclick", () => plot.reset.emit());
    new MutationObserver(paint).observe(document.body, { attributes: true, attributeFilter: ["class"] });
    plot.js_event_callbacks = {
      mousemove: [{ execute: ({ x: step }) => onPoint(step) }],
      mouseleave: [{ execute: () => onPoint(null) }],
    };
    paint();
    return { show, reset: () => plot.reset.emit() };
  }

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
    const visible = () => watcher.drawnRuns().filter((id) => watcher.curves.has(id) && learns(watcher.row(id))).reverse();
    const point = (step) => {
      pointed = step;
      drawLegend();
    };
    const draw = () => {
      studio.redraw(select, ...[...new Set([...watcher.keys, watcher.key])].map((key) => el("option", { value: key, selected: key === watcher.key }, labelOf(key))));
      const ids = visible();
      blank.hidden = ids.some((id) => watcher.curve(id).steps.length);
      blank.textContent = watcher.row(watcher.chosen) && !learns(watcher.row(watcher.chosen)) ? words.blank_check : isFailed ? words.no_chart : words.blank;
      if (!chart && isReady && blank.hidden && studio.isSeen(host)) chart = makeChart(host, { xLabel: words.step, onPoint: point });
      if (chart && studio.isSeen(host)) {
        chart.show(ids.map((id) => ({ id, name: watcher.row(id).name, colour: watcher.colours.get(id), ...watcher.curve(id) })), watcher.keep);
      }
      drawLegend();
    };
    const drawLegend = () => studio.redraw(legend, ...visible().map((id) => {
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
    studio.script(BOKEH).then(() => {
      isReady = true;
      draw();
    }, () => {
      isFailed = true;
      draw();
    });
  };
})();
