// The Train page's picker of rewards: boxes, weights, and a way to the Rewards tab for those that nothing vouches for.
(() => {
  "use strict";
  const studio = window.studio, { el, fill } = studio;

  /** Value: [{name, said, is_own, is_checked, weight, chosen}]; tells `input` about each change, `shown` when it comes into view. */
  studio.rewardPicker = (host, props, watch, tell) => {
    const words = props.words;
    const weight = (row) => el("span", { class: "weight" }, "×", el("input", { type: "number", min: "-1000", max: "1000", step: "any", value: row.weight ?? "", "data-weight": row.name, "aria-label": fill(words.weight, { name: row.name }) }));
    const unchecked = (row) => el("span", { class: "unchecked" }, el("span", { class: "bdg ended" }, words.unchecked), el("button", { type: "button", class: "way", "data-go": true }, words.check));
    const item = (row) => el("div", { class: `dataset reward${row.chosen ? " chosen" : ""}` },
      el("label", {}, el("input", { type: "checkbox", "data-name": row.name, checked: row.chosen }),
        el("span", {}, el("b", {}, row.name), el("small", {}, row.said))),
      row.chosen ? weight(row) : null, row.is_checked ? null : unchecked(row));
    const draw = () => {
      const rows = Array.isArray(props.value) ? props.value : [];
      studio.redraw(host, el("div", { role: "group", "aria-label": words.label }, ...rows.map(item)),
        el("button", { type: "button", class: "way", "data-go": true }, words.more));
    };
    const change = (name, changes) => {
      props.value = props.value.map((row) => (row.name === name ? { ...row, ...changes } : row));
      const { name: box, weight: field } = document.activeElement?.dataset || {};
      draw();
      if (box || field) host.querySelector(box ? `[data-name="${CSS.escape(box)}"]` : `[data-weight="${CSS.escape(field)}"]`)?.focus();
      tell.input();
    };
    host.addEventListener("change", ({ target }) => {
      if (target.dataset.name) change(target.dataset.name, { chosen: target.checked });
      else change(target.dataset.weight, { weight: target.value === "" ? null : Number(target.value) });
    });
    host.addEventListener("click", ({ target }) => {
      if ("go" in target.dataset) document.querySelector("[data-tab-id='rewards']")?.click();
    });
    watch("value", draw);
    draw();
    studio.onOpened(host, tell.shown);
  };
})();
