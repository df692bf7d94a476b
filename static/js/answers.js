// The answers of the chosen run to held-out rows: any evaluation, row by row, beside the gold answer and the first one.
(() => {
  "use strict";
  const studio = window.studio, { el, fill, count } = studio;
  const PAGE = 12; // as the server pages
  const LAST = 1e9; // asks for the last evaluation

  studio.runAnswers = (host, props) => {
    const words = props.words, watcher = studio.watcher;
    let run = "", measured = null, step = LAST, start = 0, which = "all", asked = 0;
    const select = el("select", { "aria-label": words.step });
    const kinds = ["all", "wrong", "changed"].map((kind) => el("button", { type: "button", "data-which": kind, "aria-pressed": String(kind === which) }, words[kind]));
    const rows = el("div", { class: "rows" }), where = el("span"), back = el("button", { type: "button", class: "quiet" }, words.back), next = el("button", { type: "button", class: "quiet" }, words.next);
    const pager = el("div", { class: "pager" }, back, where, next);
    host.append(el("div", { class: "rows-bar" }, el("h2", { class: "ct" }, words.title), el("label", {}, words.step, select), el("div", { class: "sides", role: "group", "aria-label": words.which }, ...kinds)), rows, pager);

    const line = (label, text, kind) => el("p", { class: `answer ${kind}` }, el("small", {}, label), el("span", {}, text || words.blank));
    const article = (row) => el("article", {},
      el("header", {}, el("span", { class: `bdg ${row.is_right ? "good" : "bad"}` }, row.is_right ? words.right : words.not_right), el("small", {}, row.dataset)),
      ...row.turns.map((turn) => studio.bubble(turn, words)),
      line(words.gold, row.gold, "gold"), line(row.is_cut ? words.given_cut : words.given, row.given, row.is_right ? "right" : "not-right"),
      row.before !== row.given ? line(words.before, row.before, "before") : null);

    const draw = (page) => {
      host.hidden = !page.steps.length;
      if (host.hidden) return;
      const option = (value) => el("option", { value, selected: value === page.step }, value === 0 ? words.untrained : fill(words.at, { step: count(value) }));
      studio.redraw(select, ...page.steps.map(option));
      studio.redraw(rows, ...(page.rows.length ? page.rows.map(article) : [el("p", { class: "none" }, words.none)]));
      pager.hidden = page.total <= PAGE;
      back.disabled = page.start === 0;
      next.disabled = page.start + PAGE >= page.total;
      where.textContent = fill(words.where, { first: count(page.start + 1), last: count(Math.min(page.start + PAGE, page.total)), total: count(page.total) });
    };

    const load = async () => {
      const number = ++asked;
      const query = new URLSearchParams({ step, start, which });
      try {
        const answer = await fetch(`${studio.root()}/api/runs/${encodeURIComponent(run)}/answers?${query}`, { credentials: "same-origin" });
        const page = await answer.json();
        if (number === asked && answer.ok) draw(page);
      } catch {
        // the watcher says that the server does not answer; what is shown stays
      }
    };
    const from = (place) => { start = Math.max(0, place); load(); };
    select.addEventListener("change", () => { step = Number(select.value); from(0); });
    kinds.forEach((button) => button.addEventListener("click", () => {
      which = button.dataset.which;
      kinds.forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
      from(0);
    }));
    back.addEventListener("click", () => from(start - PAGE));
    next.addEventListener("click", () => from(start + PAGE));

    host.hidden = true;
    watcher.attach(host.parentElement, () => {
      const row = watcher.row(watcher.chosen);
      if (!row || row.eval_loss === null) {
        host.hidden = true;
        [run, measured] = ["", null];
      } else if (row.id !== run || row.eval_loss !== measured) {
        if (row.id !== run) [step, start] = [LAST, 0];
        [run, measured] = [row.id, row.eval_loss];
        load();
      }
    });
  };
})();
