// One chart of one metric: a thin line as measured and a bold one smoothed for each run, drawn by BokehJS.
// It is fed with whole arrays, keeps the visitor's zoom, follows the page's colours and width, and owns no data.
(() => {
  "use strict";
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
      const wanted = new Set(curves.map((curve) => curve.id));
      for (const id of lines.keys()) if (!wanted.has(id)) lines.delete(id);
      for (const { id, name, colour, steps, values } of curves) {
        if (!lines.has(id)) lines.set(id, { raw: line(name, RAW_ALPHA, 1), smooth: line(name, 1, 2.2), colour });
        const { raw, smooth } = lines.get(id);
        const measured = values.map((value) => (value === null ? NaN : value));
        raw.visible = keep > 0;
        raw.data_source.data = { x: steps, y: measured };
        smooth.data_source.data = { x: steps, y: keep > 0 ? smoothed(measured, keep) : measured };
        smooth.name = name;
      }
      const drawn = [...lines.values()].flatMap(({ raw, smooth }) => [raw, smooth]);
      if (drawn.length !== plot.renderers.length || drawn.some((one, index) => one !== plot.renderers[index])) {
        plot.renderers = drawn;
      }
      paint();
    }

    const shown = new (window.Bokeh.require("document").Document)();
    shown.add_root(plot);
    window.Bokeh.embed.add_document_standalone(shown, host);
    host.addEventListener("dblclick", () => plot.reset.emit());
    new MutationObserver(paint).observe(document.body, { attributes: true, attributeFilter: ["class"] });
    plot.js_event_callbacks = {
      mousemove: [{ execute: ({ x: step }) => onPoint(step) }],
      mouseleave: [{ execute: () => onPoint(null) }],
    };
    paint();
    return { show, reset: () => plot.reset.emit() };
  }

  window.studio = Object.assign(window.studio || {}, { makeChart, smoothed });
})();
