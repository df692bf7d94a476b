// Who holds which device: a line for each, above the list of runs, as the watcher of runs.js is told at each tick.
(() => {
  "use strict";
  const studio = window.studio, { el, fill } = studio;

  studio.runDevices = (host, props) => {
    const words = props.words, watcher = studio.watcher;
    const holder = ({ run, label }) => run
      ? el("button", { type: "button", class: "quiet", "data-run": run, title: words.open }, label)
      : el("span", {}, fill(words.chat, { name: label }));
    const line = (device) => el("li", {}, el("b", {}, device.label), el("code", {}, device.name),
      ...(device.holders.length ? [el("span", {}, words.held), ...device.holders.map(holder)] : [el("span", { class: "free" }, words.free)]));
    host.addEventListener("click", (event) => {
      const button = event.target.closest("[data-run]");
      if (button) watcher.choose(button.dataset.run);
    });
    watcher.attach(host, () => studio.redraw(host, el("ul", { "aria-label": words.title }, ...watcher.devices.map(line))));
  };
})();
