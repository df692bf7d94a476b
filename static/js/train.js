// The Train page's own components: the pickers of datasets and rewards, and the plan beside the form.
(() => {
  "use strict";
  const studio = window.studio, { el, fill, count } = studio;

  /** Choose rows and weights; tells the server about each change, and when the rows come into view. */
  const watchPicker = (host, props, watch, emit, draw) => {
    studio.watchWeights(host, { rows: () => props.value, changed: (rows) => { props.value = rows; emit.input(); }, draw });
    host.addEventListener("click", ({ target }) => {
      if (target.dataset.go) document.querySelector(`[data-tab-id="${target.dataset.go}"]`)?.click();
    });
    watch("value", draw);
    draw();
    studio.onOpened(host, emit.shown);
  };

  /** Rows with a box and a weight; tells the server about each change, and when it comes into view. */
  studio.datasetPicker = (host, props, watch, emit) => {
    const words = props.words;
    const samples = (row) => (row.chosen && row.rows && row.weight > 0 ? Math.max(1, Math.round(row.rows * row.weight)) : 0);
    const draw = () => {
      const rows = Array.isArray(props.value) ? props.value : [];
      if (!rows.length) {
        const open = el("button", { type: "button", class: "link", "data-go": "data" }, words.empty_action);
        return studio.redraw(host, el("div", { class: "none" }, el("b", {}, words.empty), el("p", {}, words.empty_help), open));
      }
      const all = rows.reduce((sum, row) => sum + samples(row), 0);
      const percent = (row) => (all ? Math.round((100 * samples(row)) / all) : 0);
      studio.redraw(host, studio.weightedRows(rows, {
        words, min: "0.01", about: (row) => fill(words.rows, { rows: count(row.rows) }),
        beside: (row) => (row.chosen ? [el("span", { class: "part" }, el("i", { style: `width:${percent(row)}%` })), el("small", { class: "share" }, fill(words.share, { share: `${percent(row)}%` }))] : []),
      }));
    };
    watchPicker(host, props, watch, emit, draw);
  };

  /** Rewards with a box and a weight, and a way to the Rewards tab for those that nothing vouches for. Value: [{name, about, is_own, is_checked, weight, chosen}]; tells `input` about each change, `shown` when it comes into view. */
  studio.rewardPicker = (host, props, watch, emit) => {
    const words = props.words;
    const unchecked = (row) => el("span", { class: "unchecked" }, el("span", { class: "bdg ended" }, words.unchecked), el("button", { type: "button", class: "way", "data-go": "rewards" }, words.check));
    const draw = () => {
      const rows = Array.isArray(props.value) ? props.value : [];
      studio.redraw(host, studio.weightedRows(rows, { words, about: (row) => row.about, beside: (row) => (row.is_checked ? [] : [unchecked(row)]) }),
        el("button", { type: "button", class: "way", "data-go": "rewards" }, words.more));
    };
    watchPicker(host, props, watch, emit, draw);
  };

  /** What pressing Start would do: table, bar, steps, problems, command. */
  studio.planPanel = (host, props, watch) => {
    const words = props.words;
    let isUnfolded = false; // DeepSpeed's configuration stays as the person left it while the plan is drawn anew
    const deepspeed = (text) => text && el("details", { class: "deepspeed", open: isUnfolded, ontoggle: (event) => (isUnfolded = event.target.open) },
      el("summary", {}, words.deepspeed), el("pre", { tabindex: "0", "aria-label": "deepspeed.json" }, text));
    const draw = () => {
      const plan = props.value || {};
      if (!plan.problems) return;
      const row = (part) => el("tr", { class: part.way },
        el("th", { scope: "row" }, part.part), el("td", {}, el("span", { class: "way" }, part.how)),
        el("td", { class: "number" }, part.count), el("td", { class: "number" }, part.rate));
      const head = el("tr", {}, ...["part", "how", "trained", "rate"].map((key) => el("th", { scope: "col" }, words[key])));
      const table = plan.parts.length ? el("table", {}, el("thead", {}, head), el("tbody", {}, ...plan.parts.map(row))) : null;
      const width = plan.share > 0 ? Math.max(plan.share * 100, 0.8) : 0;
      const bar = plan.bar ? el("div", { class: "learns" }, el("div", { class: "meter", role: "img", "aria-label": plan.bar }, el("i", { style: `width:${width}%` })), el("small", {}, plan.bar)) : null;
      const facts = [plan.generation, plan.steps, plan.memory].filter(Boolean).map((text) => el("li", {}, text));
      const problems = plan.problems.length ? el("div", { class: "problems", role: "status" }, el("h3", {}, words.problems), el("ul", {}, ...plan.problems.map((text) => el("li", {}, ...studio.prose(text))))) : null;
      studio.redraw(host, el("h2", { class: "ct" }, words.title), table, bar, facts.length ? el("ul", { class: "facts" }, ...facts) : null,
        plan.notes.length ? el("ul", { class: "notes" }, ...plan.notes.map((text) => el("li", { class: "warning" }, ...studio.prose(text)))) : null,
        plan.command ? studio.commandBlock(words, plan.command) : null, deepspeed(plan.deepspeed) || null, problems);
    };
    watch("value", draw);
    draw();
  };
})();
