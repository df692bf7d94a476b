// The Runs page's list of runs, and the notes and log of the chosen one, as the watcher tells them.
(() => {
  "use strict";
  const studio = window.studio, { el, fill, count, duration, watcher } = studio, { learns } = watcher;
  const AT_FIRST = 60, MORE = 200; // runs that the list draws; a search looks through all of them
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
