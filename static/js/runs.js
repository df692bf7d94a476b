// The Runs page: devices and who holds them, the list of runs, the chosen one's numbers, settings, notes and log.
(() => {
  "use strict";
  const studio = window.studio, { el, fill, count, measure, duration, percent, watcher } = studio, { learns } = watcher;
  const AT_FIRST = 60, MORE = 200; // runs that the list draws; a search looks through all of them
  const STATE_CLASS = { queued: "waits", starting: "busy", running: "busy", stopping: "busy", finished: "good", failed: "bad", stopped: "ended", lost: "bad" };

  const badge = (row, words) => el("span", { class: `bdg ${STATE_CLASS[row.state] || ""}` }, words[`state.${row.state}`] || row.state);
  const share = (row) => (row.state === "finished" ? 1 : row.total_steps ? Math.min(1, row.step / row.total_steps) : 0);

  function subtitle(row, words) {
    const kind = words[`kind.${row.kind}`], of = learns(row) ? words.step_of : words.row_of;
    const steps = row.total_steps ? fill(of, { step: count(row.step), total: count(row.total_steps) }) : null;
    const waiting = words[`phase.${row.phase}`] || null;
    if (row.state === "queued") return [kind, words.waiting].filter(Boolean).join(" · ");
    if (!watcher.isActive(row)) return [kind, steps, row.took === null ? null : duration(row.took, words)].filter(Boolean).join(" · ");
    const left = row.seconds_left === null ? null : fill(words.left, { time: duration(row.seconds_left, words) });
    return [kind, ["training", "checking", "answering"].includes(row.phase) ? null : waiting || words["phase.loading"], steps, left].filter(Boolean).join(" · ");
  }

  /** Who holds which device: a line for each, as the watcher is told at each tick. */
  studio.runDevices = (host, props) => {
    const words = props.words;
    const holder = ({ run, label }) => run
      ? el("button", { type: "button", class: "quiet", "data-run": run, title: words.open }, label)
      : el("span", {}, fill(words.chat, { name: label }));
    const line = (device) => el("li", {}, el("b", {}, device.label), el("code", {}, device.name),
      ...(device.holders.length ? [el("span", {}, words.held), ...device.holders.map(holder)] : [el("span", { class: "free" }, words.free)]));
    host.addEventListener("click", (event) => {
      const button = event.target.closest("[data-run]");
      if (button) watcher.choose(button.dataset.run);
    });
    watcher.attach(host, () => studio.redraw(host, el("ul", { "aria-label": words.title }, ...watcher.devices.map(line))));
  };

  /** What a search looks through: what the list says of a run, its datasets and rewards, its id. */
  const textOf = (row, words) => [row.name, row.id, words[`state.${row.state}`], words[`kind.${row.kind}`], words[`strategy.${row.strategy}`], ...row.datasets, ...row.rewards].filter(Boolean).join("\n").toLowerCase();

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
    const searchRows = () => {
      const terms = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const matching = terms.length ? watcher.rows.filter((row) => terms.every((word) => textOf(row, words).includes(word))) : watcher.rows;
      return { matching, listed: matching.filter((row, place) => place < most || row.id === watcher.chosen) };
    };
    const draw = () => {
      const focused = document.activeElement;
      const target = body.contains(focused) ? focused.dataset.choose || focused.dataset.compare : null;
      const kind = target && (focused.dataset.choose ? "choose" : "compare");
      const { matching, listed } = searchRows();
      const lost = watcher.isReached ? null : el("p", { class: "lost", role: "status" }, words.unreached);
      const empty = watcher.rows.length ? el("li", { class: "none" }, el("b", {}, words.found_none)) : el("li", { class: "none" }, el("b", {}, words.none), el("p", {}, words.none_help));
      studio.redraw(body, lost, el("ul", {}, ...(listed.length ? listed.map(item) : [empty])));
      search.hidden = watcher.rows.length < 10 && !search.value;
      more.hidden = listed.length >= matching.length;
      more.textContent = fill(words.more, { count: count(Math.min(MORE, matching.length - listed.length)), total: count(matching.length) });
      if (target) body.querySelector(`[data-${kind}="${CSS.escape(target)}"]`)?.focus();
      publish();
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
    const publish = () => {
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

  const tile = (label, value, unit = "") => el("div", { class: "kpi" }, el("small", {}, label), el("strong", {}, value), unit ? el("span", {}, unit) : null);
  const isKnown = (value) => value !== null && value !== undefined;

  /** What was learned, how well, from what. */
  function about(row, words) {
    const strategy = !learns(row) ? null : words[`strategy.${row.strategy}`];
    const rewards = ["sft", "evaluation"].includes(row.kind) ? null : row.rewards.join(" + ");
    return [words[`kind.${row.kind}`], strategy, rewards, row.datasets.join(" + ")].filter(Boolean).join(" · ");
  }

  /** The numbers of each kind of run. */
  const NUMBERS = {
    sft: (row, words) => [tile(words.loss_now, measure(row.loss))],
    grpo: (row, words) => [tile(words.reward_now, measure(row.reward)), isKnown(row.flat_share) ? tile(words.flat, percent(row.flat_share)) : null],
    reward_check: () => [],
    evaluation: () => [],
  };

  /** Name, what it learned from, why it ended, and some numbers. */
  studio.runTiles = (host, props) => {
    const words = props.words;
    watcher.attach(host, () => {
      const row = watcher.row(watcher.chosen);
      if (!row) return studio.redraw(host);
      const isOver = !watcher.isActive(row), isDryRun = !learns(row);
      const reason = row.reason ? el("div", { class: `why ${row.state}`, role: "status" }, el("b", {}, ...studio.prose(row.reason)), row.hint ? el("p", {}, ...studio.prose(row.hint)) : null) : null;
      const time = isOver ? row.took : row.seconds_left;
      studio.redraw(host,
        el("div", { class: "head" }, el("h2", {}, row.name), badge(row, words), el("small", {}, about(row, words))),
        reason,
        row.bad_lines ? el("p", { class: "odd", role: "status" }, fill(words.bad_lines, { count: count(row.bad_lines) })) : null,
        el("div", { class: "kpis" },
          ...(NUMBERS[row.kind] || NUMBERS.sft)(row, words),
          isKnown(row.exact_match) ? tile(words.exact_match, percent(row.exact_match)) : null,
          tile(isDryRun ? words.rows : words.step, count(row.step), row.total_steps ? `/ ${count(row.total_steps)}` : ""),
          isDryRun ? null : tile(words.speed, measure(row.samples_per_second), words.samples_per_second),
          tile(isOver ? words.took : words.time_left, duration(time, words))));
    });
  };

  /** The settings a run was started with, and its command. */
  studio.settingsTable = (host, props, watch) => {
    const words = props.words;
    const draw = () => {
      const { rows = [], command = "" } = props.value || {};
      if (!rows.length) return studio.redraw(host);
      const row = ({ label, value, is_changed }) => el("tr", { class: is_changed ? "changed" : false },
        el("th", { scope: "row" }, label), el("td", {}, value, is_changed ? el("small", {}, words.changed) : null));
      studio.redraw(host, studio.commandBlock(words, command), el("table", {}, el("tbody", {}, ...rows.map(row))));
    };
    watch("value", draw);
    draw();
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
