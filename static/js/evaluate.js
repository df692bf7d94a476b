// The Evaluate page's own components: the evaluations there are, and the report of one, live while it runs.
(() => {
  "use strict";
  const studio = window.studio, { el, fill, count, measure, percent } = studio;
  const CHOSEN = "studio.evaluation"; // in sessionStorage: a page that is loaded again shows the same evaluation
  const ASK_MS = 1500, FAILED_MS = 4000;

  const remembered = () => { try { return sessionStorage.getItem(CHOSEN) || ""; } catch { return ""; } };
  const remember = (id) => { try { sessionStorage.setItem(CHOSEN, id); } catch { /* then it begins with the newest */ } };
  const shownValue = (value, isShare) => (value === null || value === undefined ? "–" : isShare ? percent(value) : measure(value));

  /** The evaluations, newest first. Value: {chosen, evaluations}; tells `input` and `shown`. */
  studio.evaluationList = (host, props, watch, tell) => {
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
      remember(id);
      draw();
      tell.input();
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
        const wanted = evaluations.some(({ id }) => id === remembered()) ? remembered() : chosen;
        if (wanted) choose(wanted);
      }
      if (chosen) remember(chosen);
      draw();
    });
    draw();
    studio.onOpened(host, tell.shown);
  };

  /** A measure with its interval as a bar on a common scale. */
  const measureCell = (found, metric, words) => {
    if (!found) return el("td", { class: "number" }, "–");
    const share = metric.is_share, low = shownValue(found.low, share), high = shownValue(found.high, share);
    const place = (value) => `${(100 * Math.min(1, Math.max(0, value))).toFixed(1)}%`;
    const bar = share ? el("span", { class: "interval", "aria-hidden": "true" },
      el("i", { style: `left:${place(found.low)};right:calc(100% - ${place(found.high)})` }), el("b", { style: `left:${place(found.value)}` })) : null;
    return el("td", { class: "number" }, el("strong", {}, shownValue(found.value, share)), bar, el("small", {}, fill(words.interval, { low, high, n: count(found.n) })));
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
      el("tbody", {}, ...report.groups.map(({ name, values }) => el("tr", {}, el("th", { scope: "row" }, name), ...values.map((value) => el("td", { class: "number" }, shownValue(value, decisive.is_share)))))))));
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
    const said = state === "queued" ? words.queued : phase === "answering" && total ? fill(words.answering, { step: count(step), total: count(total) }) : words[phase] || words.waiting;
    const percentDone = total ? Math.round((100 * step) / total) : 0;
    const left = view.seconds_left ? ` · ${fill(words.left, { time: studio.duration(view.seconds_left, words) })}` : "";
    studio.redraw(host, el("h2", {}, view.name),
      el("div", { class: "importing", role: "progressbar", "aria-valuenow": percentDone, "aria-valuemin": "0", "aria-valuemax": "100", "aria-label": said },
        el("span", {}, `${said} …${left}`), el("div", { class: "meter" }, el("i", { style: `width:${percentDone}%` }))),
      el("p", { class: "by" }, words.close_safe), soFar(view, words));
  };

  const soFar = (view, words) => (view.so_far.length ? el("ul", { class: "so-far" }, ...view.so_far.map(({ label, rows, means }) =>
    el("li", {}, el("b", {}, label), " ", fill(words.so_far, { rows: count(rows) }), " ", means.map((mean) => `${mean.label} ${shownValue(mean.value, mean.is_share)}`).join(" · ")))) : null);

  const drawEnd = (host, view, words) => studio.redraw(host, el("h2", {}, view.name),
    el("div", { class: "report bad", role: "alert" }, el("b", {}, view.state === "stopped" ? words.stopped : `${words.failed} (${words[`state.${view.state}`]})`),
      view.reason ? el("p", { lang: "en" }, view.reason) : null, view.hint ? el("p", { lang: "en" }, view.hint) : null), soFar(view, words));

  /** One evaluation: progress and first numbers while it runs, then the report. Value: {run_id}; tells `done`. */
  studio.evaluationReport = (host, props, watch, tell) => {
    const words = props.words;
    let run = null, timer = 0, turn = 0, wasUnderWay = false;
    const none = () => studio.redraw(host, el("div", { class: "none" }, el("b", {}, words.choose), el("p", {}, words.choose_help)));
    const draw = (view) => (view.report ? drawReport : view.is_over ? drawEnd : drawProgress)(host, view, words);
    const ask = async () => {
      clearTimeout(timer);
      const mine = turn;
      if (!run) return;
      if (!studio.isSeen(host)) return void (timer = setTimeout(ask, ASK_MS));
      let wait = ASK_MS;
      try {
        const language = document.documentElement.lang === "zh" || window.location.pathname.match(/\/zh\/?$/) ? "zh" : "en";
        const answer = await fetch(`${studio.root()}/api/runs/${encodeURIComponent(run)}/evaluation?language=${language}`, { credentials: "same-origin" });
        const view = await answer.json();
        if (mine !== turn) return;
        if (!answer.ok) return none();
        draw(view);
        if (view.is_over) {
          if (wasUnderWay) tell.done();
          wasUnderWay = false;
          return;
        }
        wasUnderWay = true;
      } catch {
        wait = FAILED_MS; // the server does not answer; what is shown stays
      }
      if (mine === turn) timer = setTimeout(ask, wait);
    };
    const begin = () => {
      const { run_id: wanted = "" } = props.value || {};
      if (wanted === run) return;
      [run, wasUnderWay] = [wanted, false];
      turn += 1;
      if (run) ask();
      else none();
    };
    watch("value", begin);
    begin();
  };
})();
