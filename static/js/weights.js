// Rows that a person chooses from, each with a weight once it is chosen: datasets, rewards, parts of a composed reward.
(() => {
  "use strict";
  const studio = window.studio, { el, fill } = studio;
  const MAX_WEIGHT = "1000";

  const row = ({ name, weight, chosen: isChosen }, about, min, words, beside) =>
    el("div", { class: `weighted${isChosen ? " chosen" : ""}` },
      el("label", {}, el("input", { type: "checkbox", "data-name": name, checked: isChosen }),
        el("span", {}, el("b", {}, name), el("small", {}, about))),
      isChosen ? el("span", { class: "weight" }, "×", el("input", { type: "number", min, max: MAX_WEIGHT, step: "any", value: weight ?? "", "data-weight": name, "aria-label": fill(words.weight, { name }) })) : null,
      ...beside);

  /** Draw rows {name, weight, chosen}; `about(row)` is the line under a name, `beside(row)` what else stands in the row. */
  studio.weightedRows = (rows, { words, about, min = `-${MAX_WEIGHT}`, beside = () => [] }) =>
    el("div", { role: "group", "aria-label": words.label }, ...rows.map((each) => row(each, about(each), min, words, beside(each))));

  /** Take over what a person changes: `rows()` gives the rows, `changed(rows)` gets them anew, `draw()` shows them.
   *  A weight is told when it is done, or `whileTyping`: it is not drawn anew then, so that typing goes on. */
  studio.watchWeights = (host, { rows, changed, draw, whileTyping = false }) => {
    const change = (name, changes, isDrawn) => {
      const { name: box, weight } = document.activeElement?.dataset || {};
      changed(rows().map((each) => (each.name === name ? { ...each, ...changes } : each)));
      if (!isDrawn) return;
      draw();
      if (box || weight) host.querySelector(box ? `[data-name="${CSS.escape(box)}"]` : `[data-weight="${CSS.escape(weight)}"]`)?.focus();
    };
    host.addEventListener("change", ({ target }) => {
      if (target.dataset.name) change(target.dataset.name, { chosen: target.checked }, true);
    });
    host.addEventListener(whileTyping ? "input" : "change", ({ target }) => {
      if (target.dataset.weight) change(target.dataset.weight, { weight: target.value === "" ? null : Number(target.value) }, !whileTyping);
    });
  };
})();
