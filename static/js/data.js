// The Data page's own components: the list of datasets, one in numbers, its rows, an upload before and after its import.
(() => {
  "use strict";
  const studio = window.studio, { el, count } = studio;
  const PAGE = 8;

  /**
   * Cards to choose from. Value: {datasets, chosen, choice, preparing, can_demo}; tells `input`, `demo` and `shown`.
   *
   * Choices are numbered, and the server repeats the number of the request (0 before the first choice): an answer that
   * comes late may not undo what was chosen meanwhile. `is_new` marks a choice of the server's own, after an import.
   */
  studio.datasetList = (host, props, watch, emit) => {
    const words = props.words;
    let waiting = 0, choice = 0, chosen = "";
    const choose = (name) => { props.value = { ...props.value, is_new: false, chosen: name, choice: ++choice }; chosen = name; };
    const settle = () => {
      const value = props.value || {}, isLate = (value.choice || 0) < choice;
      if (isLate && !value.is_new && (value.datasets || []).some((each) => each.name === chosen)) {
        props.value = { ...value, chosen, choice };
        emit.input();
      } else if (!value.choice || isLate || value.is_new) choose(value.chosen || "");
      else chosen = value.chosen;
    };
    const draw = () => {
      const { datasets = [], chosen = "", preparing = false, can_demo = false } = props.value || {};
      const card = (each) =>
        el("li", {}, el("button", { type: "button", "data-name": each.name, "aria-pressed": String(each.name === chosen) },
          el("span", { class: "covers", "aria-hidden": "true" }, ...each.covers.map((cover) => el("img", { src: studio.imageAt(cover, true), alt: "", loading: "lazy" }))),
          el("span", { class: "said" }, el("b", {}, each.name), el("small", {}, each.summary))));
      const demo = can_demo && !preparing ? el("button", { type: "button", class: "quiet demo" }, words.demo) : null;
      const busy = preparing ? el("p", { class: "preparing", role: "status" }, words.preparing) : null;
      const none = datasets.length || preparing ? null : el("div", { class: "none" }, el("b", {}, words.none), el("p", {}, words.none_help));
      studio.redraw(host, none, datasets.length ? el("ul", {}, ...datasets.map(card)) : null, busy, demo);
      clearTimeout(waiting);
      if (preparing) waiting = setTimeout(() => studio.isSeen(host) && emit.shown(), 2000);
    };
    host.addEventListener("click", ({ target }) => {
      const card = target.closest("[data-name]");
      if (card) {
        choose(card.dataset.name);
        draw();
        host.querySelector(`[data-name="${CSS.escape(card.dataset.name)}"]`)?.focus();
        emit.input();
      } else if (target.closest(".demo")) emit.demo();
    });
    watch("value", () => { settle(); draw(); });
    draw();
    new IntersectionObserver(([entry]) => entry.isIntersecting && emit.shown()).observe(host);
  };

  /** One dataset in numbers. Value: as `tiles_view` makes it. */
  studio.datasetTiles = (host, props, watch) => {
    const words = props.words;
    const draw = () => {
      const view = props.value || {};
      if (!view.name) return studio.redraw(host, el("div", { class: "none" }, el("b", {}, words.choose), el("p", {}, words.choose_help)));
      const tile = ({ label, value, help }) => el("div", { class: "kpi" }, el("small", {}, label), el("strong", {}, value), el("span", {}, help));
      const notes = [...view.notices, view.skipped].filter(Boolean);
      const answers = view.answers.length
        ? el("details", { class: "frequent" }, el("summary", {}, words.answers),
            el("ol", {}, ...view.answers.map((each) => el("li", {}, el("span", {}, each.text), el("b", {}, `× ${each.count}`)))))
        : null;
      const csv = view.csv ? el("a", { class: "quiet", href: studio.root() + view.csv, download: true }, words.csv) : null;
      studio.redraw(host, el("h2", {}, view.name), el("p", { class: "origin" }, view.origin), el("div", { class: "kpis" }, ...view.tiles.map(tile)),
        notes.length ? el("ul", { class: "noted" }, ...notes.map((text) => el("li", {}, text))) : null, answers, csv);
    };
    watch("value", draw);
    draw();
  };

  /** The rows of a dataset, a page at a time, searched and filtered on the server. Value: {name, sha256}. */
  studio.datasetRows = (host, props, watch) => {
    const words = props.words;
    const ask = studio.newestOnly();
    let start = 0, split = "", current = {}, typing = 0;
    const search = el("input", { type: "search", placeholder: words.search, "aria-label": words.search, maxlength: "200" });
    const sides = studio.choiceButtons("side", ["", "train", "validation", "test"], (side) => words[`side.${side || "all"}`], words.sides, (side) => { split = side; from(0); });
    const rows = el("div", { class: "rows" });
    const from = (place) => { start = Math.max(0, place); load(); };
    const pager = studio.pager(words, PAGE, from);
    host.append(el("div", { class: "rows-bar" }, el("h2", { class: "ct" }, words.title), search, sides), rows, pager.element);
    const draw = (page) => {
      const { total } = page;
      if (start >= total && start) return from(PAGE * Math.floor((total - 1) / PAGE)); // rows were left out meanwhile
      const row = (each) => el("article", {},
        el("header", {}, el("span", { class: `bdg ${each.split}` }, words[`side.${each.split}`]), el("small", {}, each.source || each.id)),
        ...each.turns.map((turn) => studio.bubble(turn, words)));
      rows.replaceChildren(...(page.rows.length ? page.rows.map(row) : [el("p", { class: "none" }, words.none)]));
      pager.show({ start, total });
    };
    const load = async () => {
      const { name = "" } = props.value || {};
      host.hidden = !name;
      ask.forget();
      if (!name) return;
      try {
        const page = await ask(`datasets/${encodeURIComponent(name)}/rows`, { start, count: PAGE, search: search.value.trim(), split });
        if (page) draw(page);
      } catch ({ status, message }) {
        rows.replaceChildren(el("p", { class: "none" }, (status && message) || words.unreached));
      }
    };
    search.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => from(0), 250); });
    const changed = () => {
      const { name = "", sha256 = "" } = props.value || {};
      if (name === current.name && sha256 === current.sha256) return;
      const isOther = name !== current.name;
      current = { name, sha256 };
      if (!isOther) return void load(); // its rows have changed: what is looked for stays
      search.value = "";
      sides.firstElementChild.click();
    };
    host.hidden = true;
    watch("value", changed);
    changed();
  };

  /** An upload before its import. Value: as `inspection_view` makes it. */
  studio.uploadPreview = (host, props, watch) => {
    const words = props.words;
    const draw = () => {
      const view = props.value || {};
      if (!view.verdict) return studio.redraw(host);
      const verdict = el("p", { class: `verdict ${view.is_recognised ? "good" : "ask"}`, role: "status" }, el("b", {}, view.verdict), " ", view.counts, ...(view.doubt ? [" ", view.doubt] : []));
      const table = view.cells.length && (!view.is_recognised || !view.rows.length)
        ? el("div", { class: "cells", tabindex: "0", role: "region", "aria-label": words.first_rows }, el("table", {},
            el("thead", {}, el("tr", {}, ...view.columns.map((name) => el("th", { scope: "col" }, name)))),
            el("tbody", {}, ...view.cells.map((row) => el("tr", {}, ...row.map((cell) => el("td", {}, cell)))))))
        : null;
      const hasParts = view.rows.some((row) => row.split !== "train"); // else validation rows may be drawn from these
      const rows = view.rows.length
        ? el("div", { class: "rows" }, ...view.rows.map((row) => el("article", {}, el("header", {}, hasParts ? el("span", { class: `bdg ${row.split}` }, words[`side.${row.split}`]) : null, el("small", {}, row.source)), ...row.turns.map((turn) => studio.bubble(turn, words)))))
        : null;
      const heading = rows ? el("h3", {}, words.as_imported) : table ? el("h3", {}, words.first_rows) : null;
      const notes = view.notices.length ? el("ul", { class: "noted" }, ...view.notices.map((text) => el("li", {}, text))) : null;
      studio.redraw(host, verdict, notes, view.groups.length ? studio.problemGroups(view.groups, words) : null, heading, rows || table);
    };
    watch("value", draw);
    draw();
  };

  /** An import as it goes, then what it did. Value: as `progress_view`, `report_view` or `refusal_view` make it. */
  studio.importReport = (host, props, watch) => {
    const words = props.words;
    let lastKind = "";
    const bringIntoView = (kind) => {
      if (kind !== lastKind && kind) requestAnimationFrame(() => host.scrollIntoView({ block: "nearest" }));
      lastKind = kind;
    };
    const draw = () => {
      const view = props.value || {};
      bringIntoView("progress" in view ? "progress" : view.title || "");
      if ("progress" in view) {
        const percent = Math.round(100 * view.progress);
        return studio.redraw(host, studio.progressBar(view.said, percent, `${view.said} · ${percent}%`));
      }
      if (!view.title) return studio.redraw(host);
      const [first, ...rest] = view.lines;
      const csv = view.csv ? el("a", { class: "quiet", href: studio.root() + view.csv, download: true }, words.csv) : null;
      const problems = view.groups.length ? el("h3", {}, words.problems) : null;
      studio.redraw(host, el("div", { class: `report ${view.kind}`, role: "status" }, el("b", {}, view.title), el("p", {}, first), ...rest.map((line) => el("p", {}, line))),
        problems, view.groups.length ? studio.problemGroups(view.groups, words) : null, csv);
    };
    watch("value", draw);
    draw();
  };
})();
