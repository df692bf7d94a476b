// The one watcher of the Runs page asks the server once a tick what is new and keeps it; list, tiles, chart and log draw it.
// It rests while nobody looks, and everything it knows it can ask for again: a restarted server changes nothing.
(() => {
  "use strict";
  const studio = window.studio;
  const IDLE_MS = 6000;
  const ACTIVE = new Set(["queued", "starting", "running", "stopping"]);
  const COLOURS = 8; // --st-run-0 to --st-run-7 in runs.css
  const LOG_CHARACTERS = 400_000;

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
  let cursor = "", version = "", offset = -1; // what came so far, so that only the rest travels
  const keyOf = { sft: "loss", grpo: "reward" }; // the metric that was last looked at, by what the chosen run learns from

  watcher.learns = (row) => row?.kind in keyOf; // dry runs and evaluations draw no curves
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
  watcher.drawnRuns = () => watcher.rows.map((row) => row.id).filter((id) => id === watcher.chosen || watcher.compared.has(id));

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
    const kind = watcher.row(watcher.chosen)?.kind || "sft";
    watcher.key = key;
    if (kind in keyOf) keyOf[kind] = key; // no other kind draws curves
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

  const poll = studio.poll({
    isSeen: () => watcher.views.some(({ element }) => studio.isSeen(element)),
    ask: () => {
      const runs = new Set(watcher.drawnRuns().flatMap((id) => watcher.chain(id).map((link) => link.id)));
      return studio.getJson("watch", { runs: [...runs].join(","), key: watcher.key, cursor, seen: version, chosen: watcher.chosen, offset });
    },
    take: (answer) => {
      watcher.isReached = true;
      take(answer);
      watcher.redraw();
    },
    fail: () => {
      watcher.isReached = false;
      watcher.redraw();
    },
    wait: () => (!watcher.isReached ? studio.FAILED_MS : watcher.rows.some(watcher.isActive) ? studio.BUSY_MS : IDLE_MS),
  });

  /** Ask now, and forget an answer that is still on its way. */
  watcher.soon = poll.now;

  function take({ list, curves, chosen, devices }) {
    watcher.devices = devices;
    const key = watcher.key;
    if (list) {
      version = list.version;
      takeRows(list);
      if (!watcher.row(watcher.chosen)) chooseFirst();
      followKind(); // a run that another tab chose was not in the list yet
    }
    if (watcher.key === key) takeCurves(curves);
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
      const curve = watcher.curves.get(id);
      if (is_whole || !curve) watcher.curves.set(id, { steps, values });
      else watcher.curves.set(id, { steps: curve.steps.concat(steps), values: curve.values.concat(values) });
    }
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && watcher.views.length) watcher.soon();
  });
  studio.watcher = watcher; // buttons of the page ask it to look at once
})();
