// The chosen run in numbers: those that its way of learning is judged by, and why it ended.
(() => {
  "use strict";
  const studio = window.studio, { el, fill, count, measure, duration, percent } = studio;

  const tile = (label, value, unit = "") => el("div", { class: "kpi" }, el("small", {}, label), el("strong", {}, value), unit ? el("span", {}, unit) : null);
  const known = (value) => value !== null && value !== undefined;

  const LEARNS = { sft: true, grpo: true };

  /** What was learned, how well, from what. */
  function about(row, words) {
    const strategy = !(row.kind in LEARNS) ? null : words[`strategy.${row.strategy}`];
    const rewards = ["sft", "evaluation"].includes(row.kind) ? null : row.rewards.join(" + ");
    return [words[`kind.${row.kind}`], strategy, rewards, row.datasets.join(" + ")].filter(Boolean).join(" · ");
  }

  /** The numbers of each kind of run. */
  const NUMBERS = {
    sft: (row, words) => [tile(words.loss_now, measure(row.loss))],
    grpo: (row, words) => [tile(words.reward_now, measure(row.reward)), known(row.flat_share) ? tile(words.flat, percent(row.flat_share)) : null],
    reward_check: () => [],
    evaluation: () => [],
  };

  /** Name, what it learned from, why it ended, and some numbers. */
  studio.runTiles = (host, props) => {
    const words = props.words, watcher = studio.watcher;
    watcher.attach(host, () => {
      const row = watcher.row(watcher.chosen);
      if (!row) return studio.redraw(host);
      const isOver = !watcher.isActive(row), isDryRun = !(row.kind in LEARNS);
      const reason = row.reason ? el("div", { class: `why ${row.state}`, role: "status" }, el("b", {}, ...studio.prose(row.reason)), row.hint ? el("p", {}, ...studio.prose(row.hint)) : null) : null;
      const time = isOver ? studio.runTook(row) : row.seconds_left;
      studio.redraw(host,
        el("div", { class: "head" }, el("h2", {}, row.name), studio.runBadge(row, words), el("small", {}, about(row, words))),
        reason,
        row.bad_lines ? el("p", { class: "odd", role: "status" }, fill(words.bad_lines, { count: count(row.bad_lines) })) : null,
        el("div", { class: "kpis" },
          ...(NUMBERS[row.kind] || NUMBERS.sft)(row, words),
          known(row.exact_match) ? tile(words.exact_match, percent(row.exact_match)) : null,
          tile(isDryRun ? words.rows : words.step, count(row.step), row.total_steps ? `/ ${count(row.total_steps)}` : ""),
          isDryRun ? null : tile(words.speed, measure(row.samples_per_second), words.samples_per_second),
          tile(isOver ? words.took : words.time_left, duration(time, words))));
    });
  };
})();
