// What the chosen run answered: to validation rows at each evaluation, beside the gold answer and the first one; and what it
// drew while it learned from rewards, question by question, the best first. What a person reads stays where it is while
// the run goes on; newer drawings are only offered.
(() => {
  "use strict";
  const studio = window.studio, { el, fill, count, measure } = studio;
  const ANSWERS_PAGE = 12; // as the server pages
  const ROLLOUTS_PAGE = 4; // as the server pages
  const LAST = 1e9; // asks for the newest evaluation or drawing
  const TYPING_MS = 300;

  studio.runAnswers = (host, props) => {
    const words = props.words, watcher = studio.watcher, ask = studio.newestOnly();
    let run = "", measured = null, step = LAST, start = 0, which = "all";
    const select = el("select", { "aria-label": words.step });
    const kinds = studio.choiceButtons("which", ["all", "wrong", "changed"], (kind) => words[kind], words.which, (kind) => { which = kind; from(0); });
    const rows = el("div", { class: "rows" });
    const from = (place) => { start = place; load(); };
    const pager = studio.pager(words, ANSWERS_PAGE, from);
    host.append(el("div", { class: "rows-bar" }, el("h2", { class: "ct" }, words.title), el("label", {}, words.step, select), kinds), rows, pager.element);

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
      pager.element.hidden = page.total <= ANSWERS_PAGE;
      pager.show(page);
    };

    const load = async () => {
      try {
        const page = await ask(studio.runPath(run, "answers"), { step, start, which });
        if (page) draw(page);
      } catch {
        // the watcher says that the server does not answer; what is shown stays
      }
    };
    select.addEventListener("change", () => { step = Number(select.value); from(0); });

    host.hidden = true;
    watcher.attach(host.parentElement, () => {
      const row = watcher.row(watcher.chosen);
      if (!row || row.eval_loss === null) {
        host.hidden = true;
        ask.forget();
        [run, measured] = ["", null];
      } else if (row.id !== run || row.eval_loss !== measured) {
        if (row.id !== run) [step, start] = [LAST, 0];
        [run, measured] = [row.id, row.eval_loss];
        load();
      }
    });
  };

  const signed = (number) => (number > 0 ? `+${measure(number)}` : measure(number).replace("-", "−"));
  const tone = (number) => (number > 0 ? "up" : number < 0 ? "down" : "even");

  /** What each reward, and each part of one, paid and logged; nothing where that is what stands there already. */
  const values = (answer, words) => {
    if (answer.values.length < 2 && answer.values[0]?.value === answer.reward && !answer.noted.length) return null;
    const pay = ({ name, is_part: isPart, value }) => el("div", { class: isPart ? "part" : false }, el("dt", {}, name), el("dd", {}, value === null ? words.no_reward : measure(value)));
    const note = ({ name, text }) => el("div", { class: "noted" }, el("dt", {}, name), el("dd", {}, text));
    return el("details", {}, el("summary", {}, words.values), el("dl", {}, ...answer.values.map(pay), ...answer.noted.map(note)));
  };

  const answerRow = (answer, words) => el("tr", {},
    el("td", { class: "number reward" }, answer.reward === null ? words.no_reward : measure(answer.reward)),
    el("td", { class: `number advantage ${tone(answer.advantage)}` }, signed(answer.advantage)),
    el("td", { class: "text" }, el("span", { class: answer.text ? "said" : "said blank" }, answer.text || words.blank), values(answer, words)),
    el("td", { class: "number" }, count(answer.tokens), answer.is_cut ? el("span", { class: "bdg ended" }, words.cut) : null));

  function group(row, words, label) {
    const head = (key, help) => el("th", { scope: "col", class: key === "answer" ? false : "number", title: help }, words[key]);
    return el("article", { "data-place": String(row.place) },
      el("header", {}, el("small", {}, `${row.dataset} · ${row.id}`), row.is_flat ? el("span", { class: "bdg ended" }, words.flat) : null),
      el("div", { class: "asked" }, ...row.turns.map((turn) => studio.bubble(turn, words)),
        el("p", { class: "gold" }, el("small", {}, words.gold), el("span", {}, row.gold || words.blank))),
      el("div", { class: "ranked", tabindex: "0", role: "region", "aria-label": label },
        el("table", {}, el("caption", {}, words.table),
          el("thead", {}, el("tr", {}, head("reward"), head("advantage", words.advantage_help), head("answer"), head("tokens"))),
          el("tbody", {}, ...row.answers.map((answer) => answerRow(answer, words))))));
  }

  studio.runRollouts = (host, props) => {
    const words = props.words, watcher = studio.watcher, askPage = studio.newestOnly(), askHits = studio.newestOnly();
    let run = "", loadedStep = null, step = LAST, start = 0, page = null, hits = null, isOver = false, typing = 0;
    let newestAtChoice = 0, isChoosing = true; // the newest drawing when the visitor last chose one; a choice that is not shown yet
    const button = (word) => el("button", { type: "button", class: "quiet" }, words[word]);
    const select = el("select"), older = button("older"), newer = button("newer"), newest = el("button", { type: "button", class: "newest" });
    const search = el("input", { type: "search", maxlength: "200", placeholder: words.search, "aria-label": words.search });
    const status = el("p", { class: "found", role: "status" }), rows = el("div", { class: "rows" });
    const pager = studio.pager(words, ROLLOUTS_PAGE, (place) => go(step, place));
    const choice = el("span", { class: "drawing" }, el("label", {}, words.step, select), older, newer);
    host.append(el("div", { class: "rows-bar" }, el("h2", { class: "ct" }, words.title), choice, search), newest, status, rows, pager.element);

    const name = (value) => (value === 0 ? words.untrained : fill(words.at, { step: count(value) }));
    const drawPage = () => {
      studio.redraw(select, ...page.steps.map((value) => el("option", { value, selected: value === page.step }, name(value))));
      older.disabled = page.older === null;
      newer.disabled = page.newer === null;
      newest.hidden = page.latest <= newestAtChoice;
      newest.textContent = fill(words.newest, { step: count(page.latest) });
      studio.redraw(rows, ...page.rows.map((row) => group(row, words, `${words.table}: ${row.id}`)));
      pager.element.hidden = page.total <= ROLLOUTS_PAGE;
      pager.show(page);
    };
    const hitRow = (hit) => el("button", { type: "button", class: "hit", "data-step": String(hit.step), "data-place": String(hit.place) },
      el("small", {}, [name(hit.step), hit.dataset, hit.row, words[`in.${hit.where}`]].join(" · ")), el("span", {}, hit.excerpt));
    const drawHits = () => {
      const numbers = { count: count(hits.rows.length), steps: count(hits.searched), text: hits.text };
      status.textContent = fill(hits.is_full ? words.found_more : hits.rows.length ? words.found : words.found_none, numbers);
      studio.redraw(rows, ...hits.rows.map(hitRow));
    };
    const draw = () => {
      host.hidden = !page?.steps.length;
      if (host.hidden) return;
      choice.hidden = Boolean(hits);
      status.hidden = !hits;
      if (!hits) return drawPage();
      newest.hidden = pager.element.hidden = true;
      drawHits();
    };

    /** Ask for what is chosen; an answer that never comes changes nothing. */
    const load = async () => {
      try {
        const answer = await askPage(studio.runPath(run, "rollouts"), { step, start });
        if (!answer) return;
        page = answer;
        if (page.steps.length) {
          step = page.step; // from now on this one, whatever comes
          if (isChoosing) newestAtChoice = page.latest;
          isChoosing = false;
        }
        draw();
      } catch {
        // the watcher says that the server does not answer
      }
    };
    const go = (chosenStep, place = 0) => {
      [step, start] = [chosenStep, Math.max(0, place)];
      isChoosing = true;
      return load();
    };
    const find = async () => {
      const text = search.value.trim();
      askHits.forget();
      try {
        const answer = text ? await askHits(studio.runPath(run, "rollouts"), { text }) : null;
        if (answer === undefined) return;
        hits = answer && { ...answer, rows: answer.hits, text };
        draw();
      } catch {
        // as above
      }
    };
    select.addEventListener("change", () => go(Number(select.value)));
    older.addEventListener("click", () => go(page.older));
    newer.addEventListener("click", () => go(page.newer));
    newest.addEventListener("click", () => go(page.latest));
    search.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(find, TYPING_MS);
    });
    rows.addEventListener("click", async ({ target }) => {
      const hit = target.closest(".hit");
      if (!hit) return;
      const place = Number(hit.dataset.place);
      [search.value, hits] = ["", null];
      askHits.forget();
      await go(Number(hit.dataset.step), place - (place % ROLLOUTS_PAGE));
      rows.querySelector(`[data-place="${place}"]`)?.scrollIntoView({ block: "nearest" });
    });

    const forget = () => {
      [run, loadedStep, page, hits, isChoosing] = ["", null, null, null, true];
      askPage.forget();
      askHits.forget();
      host.hidden = true;
    };
    forget();
    watcher.attach(host.parentElement, () => {
      const row = watcher.row(watcher.chosen);
      if (row?.kind !== "grpo") return forget();
      const ended = !watcher.isActive(row);
      if (row.id === run && row.step === loadedStep && ended === isOver) return;
      if (row.id !== run) {
        forget();
        [step, start, search.value] = [LAST, 0, ""];
      }
      [run, loadedStep, isOver] = [row.id, row.step, ended];
      load();
    });
  };
})();
