// The worst answers wall: images with boxes, gold and given answers with their differences marked, and the marks that
// a person makes: wrong labels, rows to leave out, rows for a hard set. Marks are carried out together.
(() => {
  "use strict";
  const studio = window.studio, { el, fill, count, measure } = studio;
  const PAGE = 12; // as the server pages
  const MOST_WORDS = 400; // longer answers are not compared word by word

  const words_of = (text) => text.match(/[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\s\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|\s+/g) || [];

  /** Which words of `given` stand in `gold` in the same order (longest common subsequence). */
  const kept = (gold, given) => {
    const a = words_of(gold), b = words_of(given);
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
    const found = kept(gold, given);
    if (!found) return [given];
    return found.map(({ word, isSame }) => (isSame ? word : el("mark", {}, word)));
  };

  const rectangle = ([left, top, right, bottom], kind, label) =>
    el("i", { class: `box ${kind}`, title: label, style: `left:${100 * left}%;top:${100 * top}%;width:${100 * (right - left)}%;height:${100 * (bottom - top)}%` });

  const image = (row, words) => {
    if (row.images.length !== 1) return null;
    const boxes = !row.gold_boxes.length ? [] : [...row.gold_boxes.map((box) => rectangle(box, "gold", words.gold_box)),
      ...row.answers.flatMap(({ boxes: found }, number) => found.map((box) => rectangle(box, `given of-${number}`, words.given_box)))];
    return el("div", { class: "drawn" }, el("a", { href: studio.imageAt(row.images[0]), target: "_blank", rel: "noopener", "aria-label": words.enlarge },
      el("img", { src: studio.imageAt(row.images[0], true), alt: words.image, loading: "lazy", decoding: "async" })), ...boxes);
  };

  /** What was asked; an image that stands above is not shown again. */
  const asked = (row, drawn, words) => row.turns.map((turn) =>
    studio.bubble(drawn ? { ...turn, parts: turn.parts.filter((part) => !("image" in part)) } : turn, words));

  /** Rows of one evaluation. Value: {run_id, labels, is_over, set}; `apply` brings {marks, sent} in it, and is answered by {applied, sent}. */
  studio.answerWall = (host, props, watch, tell) => {
    const words = props.words;
    let run = "", isOver = null, applied = 0, which = "worst", metric = "", start = 0, turn = 0, page = null;
    // by run, so that a look at another evaluation loses nothing. marks: "dataset/row" -> {dataset, row, text, isExcluded,
    // isHard}; drafts: corrections that are being typed; open: the row whose correction is on the screen
    const desks = new Map();
    const deskOf = (id) => desks.get(id) || desks.set(id, { marks: new Map(), drafts: new Map(), open: "" }).get(id);
    let desk = deskOf(run), shown = {}; // shown: the value that chose the run
    const sent = []; // the marks of each `apply`, in order
    const keyOf = (row) => `${row.dataset}/${row.id}`;
    const title = el("h2", { class: "ct" }, words.title);
    const kinds = ["worst", "changed", "disagreement", "cut", "all"].map((kind) => el("button", { type: "button", "data-which": kind, "aria-pressed": String(kind === which) }, words[`which.${kind}`]));
    const select = el("select", { "aria-label": words.metric });
    const bar = el("div", { class: "rows-bar" }, title, el("label", {}, words.metric, select), el("div", { class: "sides", role: "group", "aria-label": words.which }, ...kinds));
    const rows = el("div", { class: "rows wall" }), where = el("span"), pending = el("div", { class: "marked-rows", role: "status" });
    const back = el("button", { type: "button", class: "quiet" }, words.back), next = el("button", { type: "button", class: "quiet" }, words.next);
    const pager = el("div", { class: "pager" }, back, where, next);
    host.append(bar, rows, pager, pending);

    const button = (text, act, pressed) => el("button", { type: "button", class: "quiet", "aria-pressed": pressed === undefined ? false : String(pressed), onclick: act }, text);
    const mark = (row, changes) => {
      const key = keyOf(row), had = desk.marks.get(key) || { dataset: row.dataset, row: row.id, text: null, isExcluded: false, isHard: false };
      const now = { ...had, ...changes };
      if (now.text === null && !now.isExcluded && !now.isHard) desk.marks.delete(key);
      else desk.marks.set(key, now);
      draw();
    };

    const editor = (row, found) => {
      const area = el("textarea", { rows: "2", "aria-label": words.fix_label });
      const key = keyOf(row);
      area.value = desk.drafts.get(key) ?? found?.text ?? row.gold;
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
      const found = desk.marks.get(keyOf(row)), labels = props.value?.labels || [];
      const drawn = image(row, words);
      const state = [found?.text != null ? words.fixed : "", found?.isExcluded ? words.excluded : "", found?.isHard ? words.hardened : ""].filter(Boolean).join(" · ");
      return el("article", { class: found ? "marked" : false, "data-row": keyOf(row) },
        el("header", {}, el("small", {}, `${row.dataset} · ${row.id}`), state ? el("span", { class: "bdg warned" }, state) : null),
        drawn, ...asked(row, drawn, words),
        el("p", { class: "answer gold" }, el("small", {}, words.gold), el("span", {}, found?.text ?? row.gold), row.references.length ? el("small", {}, fill(words.also, { answers: row.references.join(" / ") })) : null),
        ...row.answers.map((answer, number) => given(row, answer, number, labels)),
        desk.open === keyOf(row) ? editor(row, found) : el("div", { class: "actions" },
          button(words.fix, () => { desk.open = keyOf(row); draw(); rows.querySelector("textarea")?.focus(); }),
          button(words.exclude, () => mark(row, { isExcluded: !found?.isExcluded }), Boolean(found?.isExcluded)),
          row.dataset === props.value?.set ? null : button(fill(words.hard, { set: props.value?.set || "" }), () => mark(row, { isHard: !found?.isHard }), Boolean(found?.isHard))));
    };

    const apply = () => {
      const all = [...desk.marks.values()], of = (wanted) => all.filter(wanted).map(({ dataset, row }) => ({ dataset, row }));
      const answers = all.filter(({ text, isExcluded }) => text !== null && !isExcluded).map(({ dataset, row, text }) => ({ dataset, row, text }));
      sent.push(new Map(desk.marks));
      props.value = { ...props.value, sent: sent.length, marks: { answers, excluded: of(({ isExcluded }) => isExcluded), hard: of(({ isHard }) => isHard) } };
      tell.apply();
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
      pager.hidden = page.total <= PAGE;
      back.disabled = page.start === 0;
      next.disabled = page.start + PAGE >= page.total;
      where.textContent = fill(words.where, { first: count(page.start + 1), last: count(Math.min(page.start + PAGE, page.total)), total: count(page.total) });
      pending.replaceChildren(...(desk.marks.size ? [el("span", {}, fill(words.pending, { count: count(desk.marks.size) })), el("button", { type: "button", class: "apply", onclick: apply }, words.apply), button(words.discard, () => { desk.marks.clear(); draw(); })] : []));
      pending.hidden = !desk.marks.size;
    };

    const load = async () => {
      const number = ++turn;
      if (!run) { page = null; draw(); return; }
      try {
        const answer = await fetch(`${studio.root()}/api/runs/${encodeURIComponent(run)}/wall?${new URLSearchParams({ which, metric, start })}`, { credentials: "same-origin" });
        const found = await answer.json();
        if (number !== turn) return;
        page = answer.ok ? found : null;
        draw();
      } catch {
        // what is shown stays
      }
    };
    const from = (place) => { start = Math.max(0, place); load(); };
    select.addEventListener("change", () => { metric = select.value; from(0); });
    kinds.forEach((each) => each.addEventListener("click", () => {
      which = each.dataset.which;
      kinds.forEach((other) => other.setAttribute("aria-pressed", String(other === each)));
      from(0);
    }));
    back.addEventListener("click", () => from(start - PAGE));
    next.addEventListener("click", () => from(start + PAGE));
    /** What was sent is done; what was marked otherwise since, or typed, stays. */
    const settle = ({ run_id: id, sent: number }) => {
      const { marks } = deskOf(id);
      for (const [key, done] of sent[number - 1] || []) if (JSON.stringify(marks.get(key)) === JSON.stringify(done)) marks.delete(key);
      delete sent[number - 1];
      draw();
    };
    watch("value", () => {
      const value = props.value || {}, { run_id: wanted = "", is_over: over = false, applied: done = 0 } = value;
      if (done && done !== applied) {
        applied = done;
        if (wanted !== run) props.value = shown; // another evaluation was chosen meanwhile
        return void settle(value);
      }
      if (wanted === run && over === isOver) return;
      if (wanted !== run) [metric, start, desk] = ["", 0, deskOf(wanted)];
      [run, isOver, shown] = [wanted, over, { ...value }];
      load();
    });
    host.hidden = true;
    load();
  };
})();
