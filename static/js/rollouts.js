// The answers that the chosen run drew while it learned from rewards: any drawing, question by question, the best first.
// What a person reads stays where it is while the run goes on; newer drawings are only offered.
(() => {
  "use strict";
  const studio = window.studio, { el, fill, count, measure } = studio;
  const PAGE = 4; // as the server pages
  const LAST = 1e9; // asks for the newest drawing
  const TYPING_MS = 300;

  const signed = (number) => (number > 0 ? `+${measure(number)}` : measure(number).replace("-", "−"));
  const tone = (number) => (number > 0 ? "up" : number < 0 ? "down" : "even");

  /** What each reward, and each part of one, paid and logged; nothing where that is what stands there already. */
  const values = (answer, words) => {
    if (answer.values.length < 2 && answer.values[0]?.value === answer.reward && !answer.noted.length) return null;
    const pay = ({ name, is_part: isPart, value }) => el("div", { class: isPart ? "part" : false }, el("dt", {}, name), el("dd", {}, value === null ? words.no_reward : measure(value)));
    const said = ({ name, text }) => el("div", { class: "noted" }, el("dt", {}, name), el("dd", {}, text));
    return el("details", {}, el("summary", {}, words.values), el("dl", {}, ...answer.values.map(pay), ...answer.noted.map(said)));
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
    const words = props.words, watcher = studio.watcher;
    let run = "", seenStep = null, step = LAST, start = 0, asked = 0, looked = 0, page = null, found = null, isOver = false, typing = 0;
    let told = 0, isChoosing = true; // the newest drawing when the visitor last chose one; a choice that is not shown yet
    const button = (word) => el("button", { type: "button", class: "quiet" }, words[word]);
    const select = el("select"), older = button("older"), newer = button("newer"), newest = el("button", { type: "button", class: "newest" });
    const search = el("input", { type: "search", maxlength: "200", placeholder: words.search, "aria-label": words.search });
    const status = el("p", { class: "found", role: "status" }), rows = el("div", { class: "rows" });
    const where = el("span"), back = button("back"), next = button("next"), pager = el("div", { class: "pager" }, back, where, next);
    const choice = el("span", { class: "drawing" }, el("label", {}, words.step, select), older, newer);
    host.append(el("div", { class: "rows-bar" }, el("h2", { class: "ct" }, words.title), choice, search), newest, status, rows, pager);

    const name = (value) => (value === 0 ? words.untrained : fill(words.at, { step: count(value) }));
    const drawPage = () => {
      studio.redraw(select, ...page.steps.map((value) => el("option", { value, selected: value === page.step }, name(value))));
      older.disabled = page.older === null;
      newer.disabled = page.newer === null;
      newest.hidden = page.latest <= told;
      newest.textContent = fill(words.newest, { step: count(page.latest) });
      studio.redraw(rows, ...page.rows.map((row) => group(row, words, `${words.table}: ${row.id}`)));
      pager.hidden = page.total <= PAGE;
      back.disabled = page.start === 0;
      next.disabled = page.start + PAGE >= page.total;
      where.textContent = fill(words.where, { first: count(page.start + 1), last: count(Math.min(page.start + PAGE, page.total)), total: count(page.total) });
    };
    const hitRow = (hit) => el("button", { type: "button", class: "hit", "data-step": String(hit.step), "data-place": String(hit.place) },
      el("small", {}, [name(hit.step), hit.dataset, hit.row, words[`in.${hit.where}`]].join(" · ")), el("span", {}, hit.excerpt));
    const drawFound = () => {
      const numbers = { count: count(found.hits.length), steps: count(found.searched), text: found.text };
      status.textContent = fill(found.is_full ? words.found_more : found.hits.length ? words.found : words.found_none, numbers);
      studio.redraw(rows, ...found.hits.map(hitRow));
    };
    const draw = () => {
      host.hidden = !page?.steps.length;
      if (host.hidden) return;
      choice.hidden = status.hidden = Boolean(found);
      status.hidden = !found;
      if (!found) return drawPage();
      newest.hidden = pager.hidden = true;
      drawFound();
    };

    const fetched = async (query) => {
      const answer = await fetch(`${studio.root()}/api/runs/${encodeURIComponent(run)}/rollouts?${new URLSearchParams(query)}`, { credentials: "same-origin" });
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      return answer.json();
    };
    /** Ask for what is chosen; an answer that a later question overtook is dropped, one that never comes changes nothing. */
    const load = async () => {
      const number = ++asked;
      try {
        const answer = await fetched({ step, start });
        if (number !== asked) return;
        page = answer;
        if (page.steps.length) {
          step = page.step; // from now on this one, whatever comes
          if (isChoosing) told = page.latest;
          isChoosing = false;
        }
        draw();
      } catch {
        // the watcher says that the server does not answer
      }
    };
    const go = (wanted, place = 0) => {
      [step, start] = [wanted, Math.max(0, place)];
      isChoosing = true;
      return load();
    };
    const look = async () => {
      const number = ++looked, text = search.value.trim();
      try {
        const answer = text ? await fetched({ text }) : null;
        if (number !== looked) return;
        found = answer && { ...answer, text };
        draw();
      } catch {
        // as above
      }
    };
    select.addEventListener("change", () => go(Number(select.value)));
    older.addEventListener("click", () => go(page.older));
    newer.addEventListener("click", () => go(page.newer));
    newest.addEventListener("click", () => go(page.latest));
    back.addEventListener("click", () => go(step, start - PAGE));
    next.addEventListener("click", () => go(step, start + PAGE));
    search.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(look, TYPING_MS);
    });
    rows.addEventListener("click", async ({ target }) => {
      const hit = target.closest(".hit");
      if (!hit) return;
      const place = Number(hit.dataset.place);
      [search.value, found] = ["", null];
      looked += 1;
      await go(Number(hit.dataset.step), place - (place % PAGE));
      rows.querySelector(`[data-place="${place}"]`)?.scrollIntoView({ block: "nearest" });
    });

    const forget = () => {
      [run, seenStep, page, found, isChoosing] = ["", null, null, null, true];
      asked += 1;
      looked += 1;
      host.hidden = true;
    };
    forget();
    watcher.attach(host.parentElement, () => {
      const row = watcher.row(watcher.chosen);
      if (row?.kind !== "grpo") return forget();
      const ended = !watcher.isActive(row);
      if (row.id === run && row.step === seenStep && ended === isOver) return;
      if (row.id !== run) {
        forget();
        [step, start, search.value] = [LAST, 0, ""];
      }
      [run, seenStep, isOver] = [row.id, row.step, ended];
      load();
    });
  };
})();
