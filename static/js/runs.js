// The Runs page: one watcher asks the server once a tick what is new and keeps it; list, tiles, chart and log draw it.
// It rests while nobody looks, and everything it knows it can ask for again: a restarted server changes nothing.
(() => {
  "use strict";
  const studio = window.studio, { el, fill, count, measure, duration } = studio;
  const BUSY_MS = 1500, IDLE_MS = 6000, FAILED_MS = 4000;
  const ACTIVE = new Set(["queued", "starting", "running", "stopping"]);
  const COLOURS = 8; // --st-run-0 to --st-run-7 in runs.css
  const CHART_SCRIPTS = ["ui-vendor/bokeh.min.js", "ui/js/chart.js"]; // large: the list does not wait for them
  const LOG_CHARACTERS = 400_000;
  const AT_FIRST = 60, MORE = 200; // runs that the list draws; a search looks through all of them

  const watcher = {
    rows: [], // as /api/runs tells them, newest first
    byId: new Map(), // the same by id
    chosen: "", // whose tiles, log and notes are shown
    compared: new Set(), // whose curves are drawn beside the chosen one's
    key: "loss", // what the chart shows
    keys: ["loss"],
    keep: 0.6, // how much of the past the smoothed line keeps
    curves: new Map(), // run id -> {steps, values}
    log: "",
    notes: [],
    devices: [], // {name, label, holders: [{run, label, since}]}
    isReached: true, // whether the server answered last time
    views: [], // {element, draw}
    colours: new Map(), // run id -> CSS variable
  };
  let cursor = "", seen = "", offset = -1, timer = 0, turn = 0;
  const keyOf = { sft: "loss", grpo: "reward" }; // the metric that was last looked at, by what the chosen run learns from

  const learns = (row) => row?.kind in keyOf; // dry runs and evaluations draw no curves
  watcher.row = (id) => watcher.byId.get(id);
  /** A run and those it went on from, newest first, each with the last step that counts of it. */
  watcher.chain = (id) => {
    const links = [];
    for (let row = watcher.row(id), until = Infinity; row && links.length < 20; ) {
      links.push({ id: row.id, until });
      const [parent, checkpoint] = row.resumed_from.split("/");
      until = Number(checkpoint?.split("-").at(-1));
      row = parent && watcher.row(parent);
    }
    return links;
  };
  /** The curve of a run from its first beginning, over all the runs it went on from. */
  watcher.curve = (id) => {
    const curve = { steps: [], values: [] };
    for (const link of watcher.chain(id).reverse()) {
      const part = watcher.curves.get(link.id);
      part?.steps.forEach((step, place) => {
        if (step > link.until) return;
        curve.steps.push(step);
        curve.values.push(part.values[place]);
      });
    }
    return curve;
  };
  watcher.isActive = (row) => ACTIVE.has(row.state);
  watcher.shown = () => watcher.rows.map((row) => row.id).filter((id) => id === watcher.chosen || watcher.compared.has(id));

  /** Let a component be drawn after each tick, as long as it is on the page. */
  watcher.attach = (element, draw) => {
    watcher.views.push({ element, draw });
    draw();
    watcher.soon();
  };

  watcher.choose = (id) => {
    if (id === watcher.chosen) return;
    Object.assign(watcher, { chosen: id, log: "", notes: [] });
    offset = -1;
    followKind();
    watcher.redraw();
    watcher.soon();
  };

  watcher.compare = (id, isOn) => {
    if (isOn) watcher.compared.add(id);
    else watcher.compared.delete(id);
    watcher.redraw();
    watcher.soon();
  };

  watcher.measure = (key) => {
    watcher.key = keyOf[watcher.row(watcher.chosen)?.kind || "sft"] = key;
    watcher.curves.clear();
    watcher.soon();
  };

  /** Show what a run of that kind is judged by, unless the visitor looked at another metric of one. */
  function followKind() {
    const key = keyOf[watcher.row(watcher.chosen)?.kind] || watcher.key;
    if (key === watcher.key) return;
    watcher.key = key;
    watcher.curves.clear();
  }

  watcher.smooth = (keep) => {
    watcher.keep = keep;
    watcher.redraw();
  };

  watcher.redraw = () => {
    watcher.views = watcher.views.filter(({ element }) => element.isConnected);
    for (const { draw } of watcher.views) draw();
  };

  /** Ask now, and forget an answer that is still on its way. */
  watcher.soon = () => {
    turn += 1;
    clearTimeout(timer);
    timer = setTimeout(tick, 0);
  };

  async function tick() {
    const mine = turn;
    const isSeen = watcher.views.some(({ element }) => studio.isSeen(element));
    if (isSeen) {
      try {
        const answer = await ask();
        if (mine !== turn) return; // another choice was made meanwhile; its own tick is under way
        watcher.isReached = true;
        take(answer);
      } catch {
        if (mine !== turn) return;
        watcher.isReached = false;
      }
      watcher.redraw();
      if (mine !== turn) return; // what was told made another choice; its own tick is under way
    }
    const isBusy = watcher.rows.some(watcher.isActive);
    timer = setTimeout(tick, !watcher.isReached ? FAILED_MS : isBusy || !isSeen ? BUSY_MS : IDLE_MS);
  }

  async function ask() {
    const wanted = [...new Set(watcher.shown().flatMap((id) => watcher.chain(id).map((link) => link.id)))];
    const query = new URLSearchParams({ runs: wanted.join(","), key: watcher.key, cursor, seen, chosen: watcher.chosen, offset });
    const response = await fetch(`${studio.root()}/api/watch?${query}`, { credentials: "same-origin" });
    if (response.status === 401) window.location.reload(); // the login page takes over
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    return response.json();
  }

  function take({ list, curves, chosen, devices }) {
    watcher.devices = devices;
    const asked = watcher.key;
    if (list) {
      seen = list.version;
      takeRows(list);
      if (!watcher.row(watcher.chosen)) chooseFirst();
      followKind(); // a run that another tab chose was not in the list yet
    }
    if (watcher.key === asked) takeCurves(curves);
    else watcher.soon();
    if (!chosen) return;
    watcher.notes = chosen.notes;
    offset = chosen.log.end;
    watcher.log = (chosen.log.is_whole ? chosen.log.text : watcher.log + chosen.log.text).slice(-LOG_CHARACTERS);
  }

  /** Only rows that are new or have changed travel; a run's colour is its own for as long as the page lives. */
  function takeRows({ is_whole, runs, gone }) {
    if (is_whole) watcher.byId.clear();
    for (const id of gone) watcher.byId.delete(id);
    for (const row of [...runs].reverse()) {
      watcher.byId.set(row.id, row);
      if (!watcher.colours.has(row.id)) watcher.colours.set(row.id, `--st-run-${watcher.colours.size % COLOURS}`);
    }
    watcher.rows = [...watcher.byId.values()].sort((one, other) => other.number - one.number);
  }

  /** With nothing chosen, or the chosen run gone: the newest run at work, else the newest. */
  function chooseFirst() {
    const first = watcher.rows.find((row) => row.state === "running") || watcher.rows[0];
    watcher.choose(first ? first.id : "");
  }

  function takeCurves({ cursor: next, series, keys }) {
    cursor = next;
    if (keys.length) watcher.keys = keys;
    const answered = new Set(series.map((one) => one.id));
    for (const id of watcher.curves.keys()) if (!answered.has(id)) watcher.curves.delete(id);
    for (const { id, steps, values, is_whole } of series) {
      const known = watcher.curves.get(id);
      if (is_whole || !known) watcher.curves.set(id, { steps, values });
      else watcher.curves.set(id, { steps: known.steps.concat(steps), values: known.values.concat(values) });
    }
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && watcher.views.length) watcher.soon();
  });
  studio.watcher = watcher; // buttons of the page ask it to look at once

  const STATE_CLASS = { queued: "waits", starting: "busy", running: "busy", stopping: "busy", finished: "good", failed: "bad", stopped: "ended", lost: "bad" };

  const badge = (row, words) => el("span", { class: `bdg ${STATE_CLASS[row.state] || ""}` }, words[`state.${row.state}`] || row.state);
  const share = (row) => (row.state === "finished" ? 1 : row.total_steps ? Math.min(1, row.step / row.total_steps) : 0);
  const took = (row) => row.took;
  Object.assign(studio, { runBadge: badge, runTook: took }); // the tiles show the same

  function subtitle(row, words) {
    const kind = words[`kind.${row.kind}`], of = learns(row) ? words.step_of : words.row_of;
    const steps = row.total_steps ? fill(of, { step: count(row.step), total: count(row.total_steps) }) : null;
    const waiting = words[`phase.${row.phase}`] || null;
    if (row.state === "queued") return [kind, words.waiting].filter(Boolean).join(" · ");
    if (!watcher.isActive(row)) return [kind, steps, took(row) === null ? null : duration(took(row), words)].filter(Boolean).join(" · ");
    const left = row.seconds_left === null ? null : fill(words.left, { time: duration(row.seconds_left, words) });
    return [kind, ["training", "checking", "answering"].includes(row.phase) ? null : waiting || words["phase.loading"], steps, left].filter(Boolean).join(" · ");
  }

  /** What a search looks through: what the list says of a run, its datasets and rewards, its id. */
  const saidOf = (row, words) => [row.name, row.id, words[`state.${row.state}`], words[`kind.${row.kind}`], words[`strategy.${row.strategy}`], ...row.datasets, ...row.rewards].filter(Boolean).join("\n").toLowerCase();

  /** The list: a button chooses a run, a box beside it draws its curve too. Long ones are searched, and drawn in parts. */
  studio.runList = (host, props, watch) => {
    const words = props.words;
    let most = AT_FIRST;
    const search = el("input", { type: "search", placeholder: words.search, "aria-label": words.search, maxlength: 200, hidden: true });
    const more = el("button", { type: "button", class: "quiet", hidden: true }), body = el("div", { class: "all-runs" });
    host.append(search, body, more);
    const item = (row) => {
      const isChosen = row.id === watcher.chosen, isShown = isChosen || watcher.compared.has(row.id);
      return el("li", { class: `run${isChosen ? " chosen" : ""}` },
        !learns(row) ? el("span", { class: "curve" }) : el("label", { class: "curve", title: words.compare, style: `--colour: var(${watcher.colours.get(row.id)})` },
          el("input", { type: "checkbox", "data-compare": row.id, checked: isShown, disabled: isChosen, "aria-label": fill(words.compare_run, { name: row.name }) }), el("span", { class: "swatch" })),
        el("button", { type: "button", class: "open", "data-choose": row.id, "aria-current": isChosen ? "true" : false },
          el("b", {}, row.name), el("small", {}, subtitle(row, words)),
          watcher.isActive(row) && row.total_steps ? el("span", { class: "meter" }, el("i", { style: `width:${(share(row) * 100).toFixed(1)}%` })) : null),
        badge(row, words));
    };
    /** The first so many that hold every word of the search, and the chosen one wherever it stands. */
    const listed = () => {
      const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const found = wanted.length ? watcher.rows.filter((row) => wanted.every((word) => saidOf(row, words).includes(word))) : watcher.rows;
      return { found, drawn: found.filter((row, place) => place < most || row.id === watcher.chosen) };
    };
    const draw = () => {
      const focused = document.activeElement;
      const had = body.contains(focused) ? focused.dataset.choose || focused.dataset.compare : null;
      const kind = had && (focused.dataset.choose ? "choose" : "compare");
      const { found, drawn } = listed();
      const lost = watcher.isReached ? null : el("p", { class: "lost", role: "status" }, words.unreached);
      const empty = watcher.rows.length ? el("li", { class: "none" }, el("b", {}, words.found_none)) : el("li", { class: "none" }, el("b", {}, words.none), el("p", {}, words.none_help));
      studio.redraw(body, lost, el("ul", {}, ...(drawn.length ? drawn.map(item) : [empty])));
      search.hidden = watcher.rows.length < 10 && !search.value;
      more.hidden = drawn.length >= found.length;
      more.textContent = fill(words.more, { count: count(Math.min(MORE, found.length - drawn.length)), total: count(found.length) });
      if (had) body.querySelector(`[data-${kind}="${CSS.escape(had)}"]`)?.focus();
      tell();
    };
    search.addEventListener("input", () => {
      most = AT_FIRST;
      draw();
    });
    more.addEventListener("click", () => {
      most += MORE;
      draw();
    });
    /** The component's value is what the server knows of the choice: another run, or another state of it. */
    const tell = () => {
      const row = watcher.row(watcher.chosen), value = props.value || {};
      const now = row ? { id: row.id, state: row.state, has_model: row.has_model } : { id: "", state: "", has_model: false };
      if (watcher.rows.length + (value.id ? 1 : 0) && JSON.stringify(now) !== JSON.stringify({ id: value.id, state: value.state, has_model: value.has_model })) props.value = now;
    };
    body.addEventListener("click", (event) => {
      const button = event.target.closest("[data-choose]");
      if (button) watcher.choose(button.dataset.choose);
    });
    body.addEventListener("change", (event) => watcher.compare(event.target.dataset.compare, event.target.checked));
    const obey = () => {
      if (!props.value?.id || props.value.id === watcher.chosen) return;
      watcher.choose(props.value.id);
      window.scrollTo({ top: 0 }); // another tab sent the visitor here, perhaps from far below
    };
    watch("value", obey);
    obey();
    watcher.attach(host, draw);
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

  /** Notes and log of the chosen run. The log follows its end, unless the reader has scrolled up. */
  studio.runLog = (element, props) => {
    const words = props.words, notes = el("ul", { class: "notes" });
    const log = el("pre", { class: "log", role: "log", "aria-live": "off", tabindex: "0", "aria-label": words.title });
    element.append(el("h2", { class: "ct" }, words.title), notes, log);
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
