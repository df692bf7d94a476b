// The views of the Runs page: list, tiles, chart, log and notes. Each draws what the watcher knows, and keeps nothing.
(() => {
  "use strict";
  const studio = window.studio, watcher = studio.watcher, { el, fill, count, measure, duration } = studio;
  const STATE_CLASS = { queued: "waits", starting: "busy", running: "busy", stopping: "busy", finished: "good", failed: "bad", stopped: "ended", lost: "bad" };

  const badge = (row, words) => el("span", { class: `bdg ${STATE_CLASS[row.state] || ""}` }, words[`state.${row.state}`] || row.state);
  const share = (row) => (row.state === "finished" ? 1 : row.total_steps ? Math.min(1, row.step / row.total_steps) : 0);
  const took = (row) => (row.ended_at && row.started_at ? row.ended_at - row.started_at : null);

  function subtitle(row, words) {
    const steps = row.total_steps ? fill(words.step_of, { step: count(row.step), total: count(row.total_steps) }) : null;
    const waiting = words[`phase.${row.phase}`] || null;
    if (row.state === "queued") return words.waiting;
    if (!watcher.isActive(row)) return [steps, took(row) === null ? null : duration(took(row), words)].filter(Boolean).join(" · ");
    const left = row.seconds_left === null ? null : fill(words.left, { time: duration(row.seconds_left, words) });
    return [row.phase === "training" ? null : waiting, steps, left].filter(Boolean).join(" · ") || words["phase.loading"];
  }

  /** The list: a button chooses a run, a box beside it draws its curve too. */
  studio.runList = (element, props, watch) => {
    const host = element.querySelector(".runs"), words = props.words;
    const item = (row) => {
      const isChosen = row.id === watcher.chosen, isShown = isChosen || watcher.compared.has(row.id);
      return el("li", { class: `run${isChosen ? " chosen" : ""}` },
        el("label", { class: "curve", title: words.compare, style: `--colour: var(${watcher.colours.get(row.id)})` },
          el("input", { type: "checkbox", "data-compare": row.id, checked: isShown, disabled: isChosen, "aria-label": fill(words.compare_run, { name: row.name }) }), el("span", { class: "swatch" })),
        el("button", { type: "button", class: "open", "data-choose": row.id, "aria-current": isChosen ? "true" : false },
          el("b", {}, row.name), el("small", {}, subtitle(row, words)),
          watcher.isActive(row) && row.total_steps ? el("span", { class: "meter" }, el("i", { style: `width:${(share(row) * 100).toFixed(1)}%` })) : null),
        badge(row, words));
    };
    const draw = () => {
      const focused = document.activeElement;
      const had = host.contains(focused) ? focused.dataset.choose || focused.dataset.compare : null;
      const kind = had && (focused.dataset.choose ? "choose" : "compare");
      const lost = watcher.isReached ? null : el("p", { class: "lost", role: "status" }, words.unreached);
      const empty = el("li", { class: "none" }, el("b", {}, words.none), el("p", {}, words.none_help));
      studio.redraw(host, lost, el("ul", {}, ...(watcher.rows.length ? watcher.rows.map(item) : [empty])));
      if (had) host.querySelector(`[data-${kind}="${CSS.escape(had)}"]`)?.focus();
      tell();
    };
    /** The component's value is what the server knows of the choice: another run, or another state of it. */
    const tell = () => {
      const row = watcher.row(watcher.chosen), value = props.value || {};
      const now = row ? { id: row.id, state: row.state, has_model: row.has_model } : { id: "", state: "", has_model: false };
      if (watcher.rows.length + (value.id ? 1 : 0) && JSON.stringify(now) !== JSON.stringify({ id: value.id, state: value.state, has_model: value.has_model })) props.value = now;
    };
    host.addEventListener("click", (event) => {
      const button = event.target.closest("[data-choose]");
      if (button) watcher.choose(button.dataset.choose);
    });
    host.addEventListener("change", (event) => watcher.compare(event.target.dataset.compare, event.target.checked));
    const obey = () => {
      if (props.value?.id && props.value.id !== watcher.chosen) watcher.choose(props.value.id);
    };
    watch("value", obey);
    obey();
    watcher.attach(element, draw);
  };

  /** The chosen run: its name, why it ended, and four numbers. */
  studio.runTiles = (element, props) => {
    const host = element.querySelector(".tiles"), words = props.words;
    const tile = (label, value, unit = "") => el("div", { class: "kpi" }, el("small", {}, label), el("strong", {}, value), unit ? el("span", {}, unit) : null);
    watcher.attach(element, () => {
      const row = watcher.row(watcher.chosen);
      if (!row) return studio.redraw(host);
      const isOver = !watcher.isActive(row);
      const reason = row.reason ? el("div", { class: `why ${row.state}`, role: "status" }, el("b", {}, ...studio.prose(row.reason)), row.hint ? el("p", {}, ...studio.prose(row.hint)) : null) : null;
      const time = isOver ? took(row) : row.seconds_left;
      studio.redraw(host,
        el("div", { class: "head" }, el("h2", {}, row.name), badge(row, words),
          el("small", {}, [words[`strategy.${row.strategy}`], row.datasets.join(" + ")].filter(Boolean).join(" · "))),
        reason,
        el("div", { class: "kpis" },
          tile(words.loss_now, measure(row.loss)),
          tile(words.step, count(row.step), row.total_steps ? `/ ${count(row.total_steps)}` : ""),
          tile(words.speed, measure(row.samples_per_second), words.samples_per_second),
          tile(isOver ? words.took : words.time_left, duration(time, words))));
    });
  };

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
    const [host, legend, blank] = [".chart", ".legend", ".blank"].map((name) => element.querySelector(name));
    const [select, range, reset] = ["select", "input", "button"].map((tag) => element.querySelector(tag));
    const labelOf = (key) => words[`metric.${key}`] || key;
    let chart = null, pointed = null;
    const visible = () => watcher.shown().filter((id) => watcher.curves.has(id)).reverse();
    const point = (step) => {
      pointed = step;
      tell();
    };
    const draw = () => {
      studio.redraw(select, ...watcher.keys.map((key) => el("option", { value: key, selected: key === watcher.key }, labelOf(key))));
      const shown = visible();
      blank.hidden = shown.some((id) => watcher.curves.get(id).steps.length);
      if (!chart && window.Bokeh && blank.hidden && studio.isSeen(host)) chart = studio.makeChart(host, { xLabel: words.step, onPoint: point });
      if (chart && studio.isSeen(host)) {
        chart.show(shown.map((id) => ({ id, name: watcher.row(id).name, colour: watcher.colours.get(id), ...watcher.curves.get(id) })), watcher.keep);
      }
      tell();
    };
    const tell = () => studio.redraw(legend, ...visible().map((id) => {
      const row = watcher.row(id), curve = watcher.curves.get(id);
      const at = pointed === null ? -1 : curve.steps.findLastIndex((step) => step <= pointed);
      const here = at < 0 ? null : fill(words.at_step, { step: count(curve.steps[at]), value: measure(curve.values[at]) });
      return el("li", { style: `--colour: var(${watcher.colours.get(id)})` }, el("span", { class: "swatch" }),
        el("span", {}, story(row, curve, words, labelOf(watcher.key))), here ? el("b", {}, here) : null);
    }));
    select.addEventListener("change", () => watcher.measure(select.value));
    range.addEventListener("input", () => watcher.smooth(Number(range.value)));
    reset.addEventListener("click", () => chart?.reset());
    range.value = watcher.keep;
    if (!window.Bokeh) blank.textContent = words.no_chart;
    watcher.attach(element, draw);
  };

  /** Notes and log of the chosen run. The log follows its end, unless the reader has scrolled up. */
  studio.runLog = (element, props) => {
    const words = props.words, notes = element.querySelector(".notes"), log = element.querySelector(".log");
    watcher.attach(element, () => {
      studio.redraw(notes, ...watcher.notes.map((note) => el("li", { class: note.level }, note.text)));
      const text = watcher.log || (watcher.chosen ? words.log_empty : "");
      if (text === log.textContent) return;
      const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
      const wasEmpty = !log.textContent;
      if (watcher.log && log.textContent && text.startsWith(log.textContent)) log.append(text.slice(log.textContent.length));
      else log.textContent = text;
      if (follows || wasEmpty) log.scrollTop = log.scrollHeight;
    });
  };
})();
