// The Evaluate page's own components: the evaluations there are; the report of one, live while it runs; and the wall of its
// worst answers: images with boxes, gold and given answers with their differences marked, and the marks that a person makes
// (wrong labels, rows to leave out, rows for a hard set), which are carried out together.
(() => {
  "use strict";
  const studio = window.studio, { el, fill, count, measure, percent } = studio;
  const CHOSEN = "studio.evaluation"; // in sessionStorage: a page that is loaded again shows the same evaluation
  const WALL_PAGE = 12; // as the server pages
  const MOST_WORDS = 400; // longer answers are not compared word by word

  const valueText = (value, isShare) => (value === null || value === undefined ? "–" : isShare ? percent(value) : measure(value));

  /** The evaluations, newest first. Value: {chosen, evaluations}; tells `input` and `shown`. */
  studio.evaluationList = (host, props, watch, emit) => {
    const words = props.words;
    const draw = () => {
      const { chosen = "", evaluations = null } = props.value || {};
      if (!evaluations) return studio.redraw(host, el("h2", { class: "ct" }, words.list)); // never empty: an empty one is not shown, so not opened
      if (!evaluations.length) return studio.redraw(host, el("h2", { class: "ct" }, words.list), el("div", { class: "none" }, el("b", {}, words.none), el("p", {}, words.none_help)));
      studio.redraw(host, el("h2", { class: "ct" }, words.list), el("ul", {}, ...evaluations.map(({ id, name, said, state }) =>
        el("li", {}, el("button", { type: "button", "data-id": id, "aria-pressed": String(id === chosen) },
          el("span", { class: "named" }, el("b", {}, name), state === "finished" ? null : el("span", { class: `bdg ${state}` }, words[`state.${state}`])),
          el("small", {}, said))))));
    };
    const choose = (id) => {
      props.value = { ...props.value, chosen: id };
      studio.remember(CHOSEN, id);
      draw();
      emit.input();
    };
    host.addEventListener("click", ({ target }) => {
      const id = target.closest("[data-id]")?.dataset.id;
      if (!id) return;
      choose(id);
      host.querySelector(`[data-id="${CSS.escape(id)}"]`)?.focus();
    });
    let isOpened = false;
    watch("value", () => {
      const { chosen = "", evaluations = null } = props.value || {};
      if (!isOpened && evaluations) { // the first list says whether what was shown before is still there
        isOpened = true;
        const earlier = studio.remembered(CHOSEN);
        const first = evaluations.some(({ id }) => id === earlier) ? earlier : chosen;
        if (first) return choose(first);
      }
      if (chosen) studio.remember(CHOSEN, chosen);
      draw();
    });
    draw();
    studio.onOpened(host, emit.shown);
  };

  /** A measure with its interval as a bar on a common scale. */
  const measureCell = (measured, metric, words) => {
    if (!measured) return el("td", { class: "number" }, "–");
    const share = metric.is_share, low = valueText(measured.low, share), high = valueText(measured.high, share);
    const place = (value) => `${(100 * Math.min(1, Math.max(0, value))).toFixed(1)}%`;
    const bar = share ? el("span", { class: "interval", "aria-hidden": "true" },
      el("i", { style: `left:${place(measured.low)};right:calc(100% - ${place(measured.high)})` }), el("b", { style: `left:${place(measured.value)}` })) : null;
    return el("td", { class: "number" }, el("strong", {}, valueText(measured.value, share)), bar, el("small", {}, fill(words.interval, { low, high, n: count(measured.n) })));
  };

  const table = (report, words) => {
    const { sides, metrics } = report;
    const plain = (label, value) => el("tr", { class: "plain" }, el("th", { scope: "row" }, label), ...sides.map((side) => el("td", { class: "number" }, value(side))));
    return el("div", { class: "cells", tabindex: "0", role: "region", "aria-label": words.details }, el("table", {},
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, fill(words.rows, { rows: count(report.rows) })), ...sides.map((side) => el("th", { scope: "col", class: "number" }, side.label)))),
      el("tbody", {},
        ...metrics.map((metric) => el("tr", {}, el("th", { scope: "row" }, el("b", {}, metric.label), el("small", {}, metric.says), metric.notice ? el("small", { class: "notice", lang: "en" }, metric.notice) : null), ...sides.map((side) => measureCell(side.measures[metric.name], metric, words)))),
        plain(words.cut, (side) => percent(side.cut / Math.max(1, side.rows))),
        ...metrics.filter(({ name }) => name in sides[0].unread).map(({ name, label }) => plain(fill(words.unread, { metric: label }), (side) => percent(side.unread[name] / Math.max(1, side.rows)))),
        plain(words.per_second, (side) => measure(side.per_second)))));
  };

  const groups = (report, words) => {
    if (!report.groups.length) return null;
    const decisive = report.metrics[0];
    return el("details", { class: "groups" }, el("summary", {}, fill(words.groups, { metric: decisive.label })), el("div", { class: "cells" }, el("table", {},
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }), ...report.sides.map((side) => el("th", { scope: "col", class: "number" }, side.label)))),
      el("tbody", {}, ...report.groups.map(({ name, values }) => el("tr", {}, el("th", { scope: "row" }, name), ...values.map((value) => el("td", { class: "number" }, valueText(value, decisive.is_share)))))))));
  };

  const notes = (report, words) => [
    report.too_long ? fill(words.too_long, { rows: count(report.too_long) }) : null,
    ...report.agreements.map((each) => fill(words.same, { same: count(each.same), rows: count(each.rows), first: report.sides[each.first].label, second: report.sides[each.second].label })),
    ...report.troubles.map((each) => fill(words.trouble, { metric: each.metric, errors: count(each.errors), side: report.sides[each.side].label, example: each.example })),
  ].filter(Boolean);

  const drawReport = (host, view, words) => {
    const { report } = view, decisive = report.metrics[0]?.name;
    const further = report.differences.filter(({ metric }) => metric !== decisive);
    studio.redraw(host,
      el("h2", {}, view.name),
      el("div", { class: `verdict ${report.tone}`, role: "status" }, report.conclusion),
      table(report, words), groups(report, words),
      further.length ? el("ul", { class: "further" }, ...further.map(({ metric, text, verdict }) => el("li", { class: verdict }, el("b", {}, report.metrics.find(({ name }) => name === metric).label), " ", text))) : null,
      notes(report, words).length ? el("ul", { class: "notes" }, ...notes(report, words).map((text) => el("li", {}, text))) : null);
  };

  const drawProgress = (host, view, words) => {
    const { phase, step, state, total_steps: total } = view;
    const stage = state === "queued" ? words.queued : phase === "answering" && total ? fill(words.answering, { step: count(step), total: count(total) }) : words[phase] || words.waiting;
    const percentDone = total ? Math.round((100 * step) / total) : 0;
    const left = view.seconds_left ? ` · ${fill(words.left, { time: studio.duration(view.seconds_left, words) })}` : "";
    studio.redraw(host, el("h2", {}, view.name),
      studio.progressBar(stage, percentDone, `${stage} …${left}`),
      el("p", { class: "by" }, words.close_safe), soFar(view, words));
  };

  const soFar = (view, words) => (view.so_far.length ? el("ul", { class: "so-far" }, ...view.so_far.map(({ label, rows, means }) =>
    el("li", {}, el("b", {}, label), " ", fill(words.so_far, { rows: count(rows) }), " ", means.map((mean) => `${mean.label} ${valueText(mean.value, mean.is_share)}`).join(" · ")))) : null);

  const drawEnd = (host, view, words) => studio.redraw(host, el("h2", {}, view.name),
    el("div", { class: "report bad", role: "alert" }, el("b", {}, view.state === "stopped" ? words.stopped : `${words.failed} (${words[`state.${view.state}`]})`),
      view.reason ? el("p", { lang: "en" }, view.reason) : null, view.hint ? el("p", { lang: "en" }, view.hint) : null), soFar(view, words));

  /** One evaluation: progress and first numbers while it runs, then the report. Value: {run_id}; tells `done`. */
  studio.evaluationReport = (host, props, watch, emit) => {
    const words = props.words;
    let run = null;
    const none = () => studio.redraw(host, el("div", { class: "none" }, el("b", {}, words.choose), el("p", {}, words.choose_help)));
    const draw = (view) => (view.report ? drawReport : view.is_over ? drawEnd : drawProgress)(host, view, words);
    const language = /\/zh\/?$/.test(window.location.pathname) ? "zh" : "en";
    const follow = studio.followReport(host, "evaluation", { query: { language }, draw, none, done: emit.done });
    const changed = () => {
      const { run_id: chosen = "" } = props.value || {};
      if (chosen === run) return;
      run = chosen;
      follow(run);
      if (!run) none();
    };
    watch("value", changed);
    changed();
  };

  const wordsOf = (text) => text.match(/[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\s\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|\s+/g) || [];

  /** Which words of `given` stand in `gold` in the same order (longest common subsequence). */
  const matchedWords = (gold, given) => {
    const a = wordsOf(gold), b = wordsOf(given);
    if (a.length > MOST_WORDS || b.length > MOST_WORDS) return null;
    const rows = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
    for (let i = a.length - 1; i >= 0; i -= 1) for (let j = b.length - 1; j >= 0; j -= 1) {
      rows[i][j] = a[i] === b[j] ? rows[i + 1][j + 1] + 1 : Math.max(rows[i + 1][j], rows[i][j + 1]);
    }
    const same = new Set();
    for (let i = 0, j = 0; i < a.length && j < b.length;) {
      if (a[i] === b[j]) { same.add(j); i += 1; j += 1; } else if (rows[i + 1][j] >= rows[i][j + 1]) i += 1; else j += 1;
    }
    return b.map((word, place) => ({ word, isSame: same.has(place) || !word.trim() }));
  };

  /** A given answer; words that the gold one does not have there are marked. */
  const compared = (gold, given) => {
    const matched = matchedWords(gold, given);
    if (!matched) return [given];
    return matched.map(({ word, isSame }) => (isSame ? word : el("mark", {}, word)));
  };

  const rectangle = ([left, top, right, bottom], kind, label) =>
    el("i", { class: `box ${kind}`, title: label, style: `left:${100 * left}%;top:${100 * top}%;width:${100 * (right - left)}%;height:${100 * (bottom - top)}%` });

  const image = (row, words) => {
    if (row.images.length !== 1) return null;
    const boxes = !row.gold_boxes.length ? [] : [...row.gold_boxes.map((box) => rectangle(box, "gold", words.gold_box)),
      ...row.answers.flatMap(({ boxes }, number) => boxes.map((box) => rectangle(box, `given of-${number}`, words.given_box)))];
    return el("div", { class: "drawn" }, el("a", { href: studio.imageAt(row.images[0]), target: "_blank", rel: "noopener", "aria-label": words.enlarge },
      el("img", { src: studio.imageAt(row.images[0], true), alt: words.image, loading: "lazy", decoding: "async" })), ...boxes);
  };

  /** The question; an image that stands above is not shown again. */
  const question = (row, hasImage, words) => row.turns.map((turn) =>
    studio.bubble(hasImage ? { ...turn, parts: turn.parts.filter((part) => !("image" in part)) } : turn, words));

  /** Rows of one evaluation. Value: {run_id, labels, is_over, set}; `apply` brings {marks, sent} in it, and is answered by {applied, sent}. */
  studio.answerWall = (host, props, watch, emit) => {
    const words = props.words, ask = studio.newestOnly();
    let run = "", isOver = null, applied = 0, which = "worst", metric = "", start = 0, page = null;
    // by run, so that a look at another evaluation loses nothing. marks: "dataset/row" -> {dataset, row, text, isExcluded,
    // isHard}; drafts: corrections that are being typed; open: the row whose correction is on the screen
    const desks = new Map();
    const deskOf = (id) => desks.get(id) || desks.set(id, { marks: new Map(), drafts: new Map(), open: "" }).get(id);
    let desk = deskOf(run), runValue = {}; // the value that chose the run
    const sent = []; // the marks of each `apply`, in order
    const keyOf = (row) => `${row.dataset}/${row.id}`;
    const title = el("h2", { class: "ct" }, words.title);
    const kinds = studio.choiceButtons("which", ["worst", "changed", "disagreement", "cut", "all"], (kind) => words[`which.${kind}`], words.which, (kind) => { which = kind; from(0); });
    const select = el("select", { "aria-label": words.metric });
    const bar = el("div", { class: "rows-bar" }, title, el("label", {}, words.metric, select), kinds);
    const rows = el("div", { class: "rows wall" }), pending = el("div", { class: "marked-rows", role: "status" });
    const from = (place) => { start = place; load(); };
    const pager = studio.pager(words, WALL_PAGE, from);
    host.append(bar, rows, pager.element, pending);

    const button = (text, act, pressed) => el("button", { type: "button", class: "quiet", "aria-pressed": pressed === undefined ? false : String(pressed), onclick: act }, text);
    const mark = (row, changes) => {
      const key = keyOf(row), had = desk.marks.get(key) || { dataset: row.dataset, row: row.id, text: null, isExcluded: false, isHard: false };
      const now = { ...had, ...changes };
      if (now.text === null && !now.isExcluded && !now.isHard) desk.marks.delete(key);
      else desk.marks.set(key, now);
      draw();
    };

    const editor = (row, marked) => {
      const area = el("textarea", { rows: "2", "aria-label": words.fix_label });
      const key = keyOf(row);
      area.value = desk.drafts.get(key) ?? marked?.text ?? row.gold;
      area.addEventListener("input", () => desk.drafts.set(key, area.value));
      const close = (text) => { desk.open = ""; desk.drafts.delete(key); mark(row, { text }); };
      const keep = () => close(area.value === row.gold ? null : area.value);
      return el("div", { class: "fixing" }, area, el("div", { class: "actions" }, button(words.keep, keep), button(words.undo, () => close(null))));
    };

    const given = (row, answer, number, labels) => {
      const tone = answer.is_right === null ? "" : answer.is_right ? "right" : "not-right";
      const score = answer.score === null ? "" : fill(words.score, { score: measure(answer.score) });
      return el("p", { class: `answer ${tone} of-${number}` }, el("small", {}, [labels[number], answer.is_cut ? words.cut : "", score].filter(Boolean).join(" · ")),
        el("span", {}, ...(answer.given ? compared(row.gold, answer.given) : [words.empty])));
    };

    const article = (row) => {
      const marked = desk.marks.get(keyOf(row)), labels = props.value?.labels || [];
      const figure = image(row, words);
      const state = [marked?.text != null ? words.fixed : "", marked?.isExcluded ? words.excluded : "", marked?.isHard ? words.hardened : ""].filter(Boolean).join(" · ");
      return el("article", { class: marked ? "marked" : false, "data-row": keyOf(row) },
        el("header", {}, el("small", {}, `${row.dataset} · ${row.id}`), state ? el("span", { class: "bdg warned" }, state) : null),
        figure, ...question(row, Boolean(figure), words),
        el("p", { class: "answer gold" }, el("small", {}, words.gold), el("span", {}, marked?.text ?? row.gold), row.references.length ? el("small", {}, fill(words.also, { answers: row.references.join(" / ") })) : null),
        ...row.answers.map((answer, number) => given(row, answer, number, labels)),
        desk.open === keyOf(row) ? editor(row, marked) : el("div", { class: "actions" },
          button(words.fix, () => { desk.open = keyOf(row); draw(); rows.querySelector("textarea")?.focus(); }),
          button(words.exclude, () => mark(row, { isExcluded: !marked?.isExcluded }), Boolean(marked?.isExcluded)),
          row.dataset === props.value?.set ? null : button(fill(words.hard, { set: props.value?.set || "" }), () => mark(row, { isHard: !marked?.isHard }), Boolean(marked?.isHard))));
    };

    const apply = () => {
      const all = [...desk.marks.values()], of = (isIn) => all.filter(isIn).map(({ dataset, row }) => ({ dataset, row }));
      const answers = all.filter(({ text, isExcluded }) => text !== null && !isExcluded).map(({ dataset, row, text }) => ({ dataset, row, text }));
      sent.push(new Map(desk.marks));
      props.value = { ...props.value, sent: sent.length, marks: { answers, excluded: of(({ isExcluded }) => isExcluded), hard: of(({ isHard }) => isHard) } };
      emit.apply();
    };

    const draw = () => {
      host.hidden = !page || (!page.rows.length && which === "worst");
      if (!page) return;
      studio.redraw(select, ...page.metrics.map((name) => el("option", { value: name, selected: name === page.metric }, words[`measure.${name}`] || name)));
      const was = document.activeElement, card = was?.closest?.("article"), at = card ? [...card.querySelectorAll(".actions button")].indexOf(was) : -1;
      const caret = rows.contains(was) && was.tagName === "TEXTAREA" ? was.selectionStart : -1;
      rows.replaceChildren(...(page.rows.length ? page.rows.map(article) : [el("p", { class: "none" }, words.none)]));
      if (caret >= 0) {
        const area = rows.querySelector("textarea");
        area?.focus();
        area?.setSelectionRange(caret, caret);
      }
      if (at >= 0) rows.querySelector(`[data-row="${CSS.escape(card.dataset.row)}"]`)?.querySelectorAll(".actions button")[at]?.focus(); // where the keyboard was
      pager.element.hidden = page.total <= WALL_PAGE;
      pager.show(page);
      pending.replaceChildren(...(desk.marks.size ? [el("span", {}, fill(words.pending, { count: count(desk.marks.size) })), el("button", { type: "button", class: "apply", onclick: apply }, words.apply), button(words.discard, () => { desk.marks.clear(); draw(); })] : []));
      pending.hidden = !desk.marks.size;
    };

    const load = async () => {
      ask.forget();
      if (!run) { page = null; draw(); return; }
      try {
        const answer = await ask(studio.runPath(run, "wall"), { which, metric, start });
        if (!answer) return;
        page = answer;
        draw();
      } catch ({ status }) {
        if (!status) return; // what is shown stays
        page = null;
        draw();
      }
    };
    select.addEventListener("change", () => { metric = select.value; from(0); });
    /** What was sent is done; what was marked otherwise since, or typed, stays. */
    const settle = ({ run_id: id, sent: number }) => {
      const { marks } = deskOf(id);
      for (const [key, done] of sent[number - 1] || []) if (JSON.stringify(marks.get(key)) === JSON.stringify(done)) marks.delete(key);
      delete sent[number - 1];
      draw();
    };
    watch("value", () => {
      const value = props.value || {}, { run_id: chosen = "", is_over: over = false, applied: done = 0 } = value;
      if (done && done !== applied) {
        applied = done;
        if (chosen !== run) props.value = runValue; // another evaluation was chosen meanwhile
        return void settle(value);
      }
      if (chosen === run && over === isOver) return;
      if (chosen !== run) [metric, start, desk] = ["", 0, deskOf(chosen)];
      [run, isOver, runValue] = [chosen, over, { ...value }];
      load();
    });
    host.hidden = true;
    load();
  };
})();
