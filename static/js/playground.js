// The Playground's own components: one model's answers, and pictures to ask about.
(() => {
  "use strict";
  const studio = window.studio, { el, fill } = studio;

  /** A conversation as it grows. Value: {turns, status, busy, failure}; tells `shown` when it comes into view. */
  studio.answers = (host, props, watch, tell) => {
    const words = props.words;
    const list = el("div", { class: "turns", role: "log", "aria-label": words.label, tabindex: "0" });
    const foot = el("p", { class: "status", "aria-live": "polite" });
    host.append(list, foot);
    const draw = () => {
      const { turns = [], status = "", busy = false, failure = null } = props.value || {};
      const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
      const empty = turns.length ? null : el("div", { class: "none" }, el("b", {}, words.empty), el("p", {}, words.empty_help));
      const waits = busy && turns.at(-1)?.role === "user" ? el("div", { class: "thinking" }, el("i"), el("i"), el("i"), el("span", {}, words.thinking)) : null;
      const failed = failure ? el("div", { class: "report bad", role: "alert" }, el("b", {}, words.failed), el("p", {}, failure.message), el("p", {}, failure.hint)) : null;
      studio.redraw(list, empty, ...turns.map((turn) => studio.bubble(turn, words)), waits, failed);
      foot.textContent = status;
      foot.classList.toggle("busy", busy);
      if (isAtEnd) list.scrollTop = list.scrollHeight;
    };
    watch("value", draw);
    draw();
    new IntersectionObserver(([seen]) => seen.isIntersecting && tell.shown()).observe(host);
  };

  /** Thumbnails to click. Value: {pictures, clicked}; tells `input` after a click. */
  studio.pictureStrip = (host, props, watch, tell) => {
    const words = props.words;
    const draw = () => {
      const { pictures = [] } = props.value || {};
      if (!pictures.length) return studio.redraw(host, el("p", { class: "none" }, words.none));
      studio.redraw(host, el("div", { role: "group", "aria-label": words.label }, ...pictures.map((shown, number) =>
        el("button", { type: "button", "data-number": number, "aria-label": fill(words.use, { number: number + 1 }) },
          el("img", { src: studio.pictureAt(shown, true), alt: "", loading: "lazy" })))));
    };
    host.addEventListener("click", ({ target }) => {
      const button = target.closest("[data-number]");
      if (!button) return;
      props.value = { ...props.value, clicked: props.value.pictures[Number(button.dataset.number)] };
      tell.input();
    });
    watch("value", draw);
    draw();
  };
})();
