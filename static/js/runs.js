// The Runs page's one watcher: asks the server once a tick what is new, keeps it, and lets the views draw it.
// It rests while nobody looks, and everything it knows it can ask for again: a restarted server changes nothing.
(() => {
  "use strict";
  const studio = window.studio;
  const BUSY_MS = 1500, IDLE_MS = 6000, FAILED_MS = 4000;
  const ACTIVE = new Set(["queued", "starting", "running", "stopping"]);
  const COLOURS = 8; // --st-run-0 to --st-run-7 in runs.css
  const LOG_CHARACTERS = 400_000;

  const watcher = {
    rows: [], // as /api/runs lists them, newest first
    chosen: "", // whose tiles, log and notes are shown
    compared: new Set(), // whose curves are drawn beside the chosen one's
    key: "loss",
    keys: ["loss"],
    keep: 0.6, // how much of the past the smoothed line keeps
    curves: new Map(), // run id -> {steps, values}
    log: "",
    notes: [],
    isReached: true, // whether the server answered last time
    views: [], // {element, draw}
    colours: new Map(), // run id -> CSS variable
  };
  let cursor = "", seen = "", offset = -1, timer = 0, turn = 0;

  watcher.row = (id) => watcher.rows.find((row) => row.id === id);
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
    watcher.key = key;
    watcher.curves.clear();
    watcher.soon();
  };

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
        take(answer);
        watcher.isReached = true;
      } catch {
        if (mine !== turn) return;
        watcher.isReached = false;
      }
      watcher.redraw();
    }
    const isBusy = watcher.rows.some(watcher.isActive);
    timer = setTimeout(tick, !watcher.isReached ? FAILED_MS : isBusy || !isSeen ? BUSY_MS : IDLE_MS);
  }

  async function ask() {
    const query = new URLSearchParams({ runs: watcher.shown().join(","), key: watcher.key, cursor, seen, chosen: watcher.chosen, offset });
    const response = await fetch(`${studio.root()}/api/watch?${query}`, { credentials: "same-origin" });
    if (response.status === 401) window.location.reload(); // the login page takes over
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    return response.json();
  }

  function take({ list, curves, chosen }) {
    if (list) {
      seen = list.version;
      watcher.rows = list.runs;
      for (const row of [...list.runs].reverse()) {
        if (!watcher.colours.has(row.id)) watcher.colours.set(row.id, `--st-run-${watcher.colours.size % COLOURS}`);
      }
      if (!watcher.row(watcher.chosen)) chooseFirst();
    }
    takeCurves(curves);
    if (!chosen) return;
    watcher.notes = chosen.notes;
    offset = chosen.log.end;
    watcher.log = (chosen.log.is_whole ? chosen.log.text : watcher.log + chosen.log.text).slice(-LOG_CHARACTERS);
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
  studio.watcher = watcher;
})();
