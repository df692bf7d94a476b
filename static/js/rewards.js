// The Rewards page's own components: the list, the composer, what stands out in a text, and the report of a dry run.
(() => {
  "use strict";
  const studio = window.studio, { el, fill, count, measure } = studio;
  const CHOSEN = "studio.reward"; // in sessionStorage: a page that is loaded again shows the same reward
  const SHOWN_ROWS = 8, SHOWN_CHARACTERS = 220;

  const badge = (text, tone) => (text ? el("span", { class: `bdg ${tone}` }, text) : null);

  /** Two ways to begin, then the rewards there are. Value: {chosen, own, builtin}; tells `input` and `shown`. */
  studio.rewardList = (host, props, watch, emit) => {
    const words = props.words;
    const card = (chosen, { key, name, about, badge: status, tone }) =>
      el("li", {}, el("button", { type: "button", "data-key": key, "aria-pressed": String(key === chosen) },
        el("span", { class: "named" }, el("b", {}, name), badge(status, tone)), el("small", {}, about)));
    const begin = (chosen, key) => card(chosen, { key, name: words[key], about: words[`${key}.help`] });
    const draw = () => {
      const { chosen = "", own = null, builtin = [] } = props.value || {};
      const ways = el("ul", { class: "begin" }, begin(chosen, "new"), begin(chosen, "compose"));
      if (!own) return studio.redraw(host, ways);
      if (chosen.startsWith("of:")) studio.remember(CHOSEN, chosen);
      studio.redraw(host, ways,
        el("h3", {}, words.own), own.length ? el("ul", { class: "own" }, ...own.map((each) => card(chosen, each))) : el("p", { class: "blank" }, words["own.none"]),
        el("h3", {}, words.ready_ones), el("ul", { class: "builtin" }, ...builtin.map((each) => card(chosen, each))));
    };
    host.addEventListener("click", ({ target }) => {
      const key = target.closest("[data-key]")?.dataset.key;
      if (!key) return;
      props.value = { ...props.value, chosen: key };
      draw();
      host.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
      emit.input();
    });
    let isOpened = false;
    const open = () => { // the first list says whether the one of last time is still there
      const { own = null, builtin = [], chosen = "", first = "" } = props.value || {};
      if (isOpened || !own) return;
      isOpened = true;
      const key = chosen || studio.remembered(CHOSEN);
      props.value = { ...props.value, chosen: [...own, ...builtin].some((each) => each.key === key) ? key : first };
      emit.input();
    };
    watch("value", () => {
      open();
      draw();
    });
    draw();
    studio.onOpened(host, emit.shown);
  };

  /** Name, badge and a sentence. */
  studio.rewardHead = (host, props, watch) => {
    const draw = () => {
      const { title = "", about = "", badge: status = "", tone = "" } = props.value || {};
      studio.redraw(host, title ? el("div", { class: "named" }, el("h2", {}, title), badge(status, tone)) : null, about ? el("p", {}, about) : null);
    };
    watch("value", draw);
    draw();
  };

  /** Parts with a box and a weight. Value: {parts: [{name, about, weight, chosen}]}; tells `input`. */
  studio.rewardComposer = (host, props, watch, emit) => {
    const words = props.words;
    const draw = () => {
      const { parts = [] } = props.value || {};
      studio.redraw(host, parts.length ? studio.weightedRows(parts, { words, about: (part) => part.about }) : null);
    };
    const changed = (parts) => {
      props.value = { ...props.value, parts };
      emit.input();
    };
    studio.watchWeights(host, { rows: () => props.value.parts, changed, draw, whileTyping: true });
    watch("value", () => {
      if (!host.contains(document.activeElement) || document.activeElement.type !== "number") draw(); // typing goes on
    });
    draw();
  };

  /** What the parts pay. Value: {sentence} or {problem, hint}. */
  studio.paySentence = (host, props, watch) => {
    const words = props.words;
    const draw = () => {
      const { sentence = "", problem = "", hint = "" } = props.value || {};
      studio.redraw(host,
        sentence ? el("div", { class: "pays", role: "status" }, el("small", {}, words.title), el("p", {}, sentence)) : null,
        problem ? el("div", { class: "pays bad", role: "status" }, el("p", {}, ...studio.prose(problem)), el("p", {}, ...studio.prose(hint))) : null);
    };
    watch("value", draw);
    draw();
  };

  /** What stands out in the text. Value: {is_saved, is_quiet, findings: [{line, level, message, hint}]}. */
  studio.rewardFindings = (host, props, watch) => {
    const words = props.words;
    const item = ({ line, level, message, hint }) => el("li", { class: level },
      el("span", { class: "where" }, el("b", {}, fill(words.line, { line })), el("small", {}, words[level])),
      el("p", { lang: "en" }, ...studio.prose(message)), el("p", { class: "way-out", lang: "en" }, ...studio.prose(hint)));
    const draw = () => {
      const { findings = null, is_saved: isSaved = true, is_quiet: isQuiet = false } = props.value || {};
      if (!findings || isQuiet) return studio.redraw(host); // a built-in reward is not being written
      studio.redraw(host,
        el("div", { class: "named" }, el("h3", {}, words.title), badge(isSaved ? words.saved : words.unsaved, isSaved ? "good" : "ended")),
        findings.length ? el("ul", { role: "status" }, ...findings.map(item)) : el("p", { class: "blank", role: "status" }, words.none));
    };
    watch("value", draw);
    draw();
  };

  /** Long texts stand folded: their beginning, and all of it on demand. */
  const folded = (text, words) => {
    if (!text) return el("span", { class: "blank" }, words.blank);
    if (text.length <= SHOWN_CHARACTERS) return el("span", { class: "text" }, text);
    return el("details", { class: "long" }, el("summary", {}, el("span", { class: "text" }, `${text.slice(0, SHOWN_CHARACTERS)} …`), el("em", {}, words.whole)), el("span", { class: "text" }, text));
  };

  const warningText = (warning, words) => {
    const template = words[`warn.${warning.code}`];
    if (!template) return warning.text;
    return fill(template, {
      value: measure(warning.value), seconds: measure(warning.value), share: studio.percent(warning.value), reward: warning.reward, problem: warning.problem,
      paid: words[`paid.${warning.kind}`] || "", beside: warning.gold === null ? "" : fill(words.gold_side, { gold: measure(warning.gold) }),
    });
  };

  /** One row: the prompt, and a table of answers from the best paid to the worst. */
  const rowCard = (row, report, words) => {
    const rewards = report.rewards.length > 1 ? report.rewards : [];
    const columns = [words.kind, words.total, words.answer, ...rewards, ...report.parts.map((part) => (rewards.length ? part : part.split("/").slice(1).join("/"))), words.ms];
    const number = (value) => el("td", { class: "number" }, measure(value));
    const block = (summary, text) => (text ? el("details", {}, el("summary", {}, summary), el("pre", { tabindex: "0", "aria-label": summary }, text)) : null);
    const lines = (answer) => [
      el("tr", { class: answer.kind },
        el("td", {}, el("span", { class: `bdg ${answer.kind}` }, words[`kind.${answer.kind}`])), el("td", { class: "number earns" }, measure(answer.total)),
        el("td", { class: "completion" }, folded(answer.text, words)), ...rewards.map((name) => number(answer.values[name])),
        ...report.parts.map((part) => number(answer.parts[part])), number(Number(answer.ms.toFixed(answer.ms < 10 ? 1 : 0)))),
      answer.problem || answer.printed || answer.traceback
        ? el("tr", { class: "beneath" }, el("td", { colspan: columns.length }, answer.problem ? el("p", { class: "problem" }, answer.problem) : null,
            block(words.traceback, answer.traceback), block(words.printed, answer.printed)))
        : null,
    ].filter(Boolean);
    return el("article", {},
      el("header", {}, el("small", {}, `${row.dataset} · ${row.row}`), row.is_flat ? badge(words.flat_row, "ended") : null),
      el("div", { class: "prompt" }, ...row.turns.map((turn) => studio.bubble(turn, words)),
        el("p", { class: "gold" }, el("small", {}, words.gold_answer), folded(row.gold, words))),
      el("div", { class: "cells", tabindex: "0", role: "region", "aria-label": words.table }, el("table", {},
        el("thead", {}, el("tr", {}, ...columns.map((name, place) => el("th", { scope: "col", class: place === 1 || place > 2 ? "number" : false }, name)))),
        el("tbody", {}, ...row.answers.flatMap(lines)))));
  };

  /** A dry run as it goes, then what it found. Value: {run_id}; tells `done` when it has just ended. */
  studio.dryRunReport = (host, props, watch, emit) => {
    const words = props.words;
    let run = null, areAllShown = false;
    const none = () => studio.redraw(host, el("div", { class: "none" }, el("b", {}, words.none), el("p", {}, words.none_help)));
    const verdict = (report) => {
      const [summary, tone] = !report.passed ? [words.not_passed, "bad"] : report.warnings.length ? [words.passed_warned, "warned"] : [words.passed, "good"];
      const { groups, flat } = report;
      const spread = !groups ? null : !flat ? words.flat_none : groups === 1 ? words.flat_one : fill(words.flat, { flat: count(flat), groups: count(groups) });
      const isWarnedOf = report.warnings.some((warning) => warning.code === "no_spread");
      const textOf = (warning) => (warning.code === "no_spread" && spread ? spread : warningText(warning, words));
      return [
        el("div", { class: `verdict ${tone}`, role: "status" }, el("b", {}, summary)),
        report.warnings.length ? el("div", { class: "problems" }, el("h3", {}, words.warnings), el("ul", {}, ...report.warnings.map((warning) => el("li", { "data-code": warning.code }, ...studio.prose(textOf(warning)))))) : null,
        spread && !isWarnedOf ? el("p", { class: "spread" }, spread) : null,
        report.checkpoint ? el("p", { class: "by" }, fill(words.by, { model: report.checkpoint })) : null,
      ];
    };
    const drawReport = (report) => {
      const rows = areAllShown ? report.rows : report.rows.slice(0, SHOWN_ROWS);
      const more = el("button", { type: "button", class: "quiet more" }, fill(words.more, { count: count(report.rows.length) }));
      studio.redraw(host, ...verdict(report), el("div", { class: "checked" }, ...rows.map((row) => rowCard(row, report, words))), rows.length < report.rows.length ? more : null);
      host.querySelector(".more")?.addEventListener("click", () => { areAllShown = true; drawReport(report); });
    };
    const drawProgress = (view) => {
      const { phase, step, state, total_steps: total } = view;
      const stage = state === "queued" ? words.queued : phase === "checking" && total ? fill(words.checking, { step: count(Math.min(step + 1, total)), total: count(total) }) : phase === "loading" ? words.loading : words.waiting;
      const percent = phase === "checking" && total ? Math.round((100 * step) / total) : 0;
      studio.redraw(host, studio.progressBar(stage, percent, `${stage} …`), el("p", { class: "by" }, words.under_runs));
    };
    const draw = (view) => {
      if (view.report) return drawReport(view.report);
      if (!view.is_over) return drawProgress(view);
      studio.redraw(host, el("div", { class: "report bad", role: "alert" }, el("b", {}, view.state === "finished" ? words.no_report : `${words.failed} (${words[`state.${view.state}`]})`),
        view.reason ? el("p", { lang: "en" }, view.reason) : null, view.hint ? el("p", { lang: "en" }, view.hint) : null));
    };
    const unreached = () => studio.redraw(host, el("p", { class: "none" }, words.unreached));
    const follow = studio.followReport(host, "check", { draw, none, unreached, done: emit.done });
    const changed = () => {
      const { run_id: chosen = "" } = props.value || {};
      if (chosen === run) return;
      [run, areAllShown] = [chosen, false];
      follow(run);
      if (run) studio.redraw(host);
      else none();
    };
    watch("value", changed);
    changed();
  };
})();
