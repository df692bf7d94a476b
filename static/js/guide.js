// The Guide page's own component.
(() => {
  "use strict";
  const studio = window.studio, { el } = studio;
  const WIDE = "(min-width: 861px)", READ_ABOVE_PX = 120; // a section is being read once its heading is this high up

  /** The sections of a text, to jump to; the one being read is marked. Value: {sections, open}; tells `input` after a click on a link to another page. */
  studio.contents = (host, props, watch, tell) => {
    const { label, text } = props.words;
    const heading = (number) => document.getElementById(text)?.querySelectorAll("h2")[number];
    const list = el("ol"), box = el("details", { open: matchMedia(WIDE).matches }, el("summary", {}, label), list);
    host.append(el("nav", { "aria-label": label }, box));

    const jump = (number) => {
      const target = heading(number);
      if (!target) return;
      if (!matchMedia(WIDE).matches) box.open = false;
      const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      target.tabIndex = -1;
      target.focus({ preventScroll: true });
      target.scrollIntoView({ behavior: isCalm ? "auto" : "smooth", block: "start" });
    };
    const mark = () => {
      if (!studio.isSeen(host)) return;
      const buttons = [...list.querySelectorAll("button")];
      const read = buttons.findLastIndex((_, number) => heading(number)?.getBoundingClientRect().top < READ_ABOVE_PX);
      buttons.forEach((button, number) => (number === read ? button.setAttribute("aria-current", "true") : button.removeAttribute("aria-current")));
    };
    const draw = () => {
      box.hidden = !(props.value || {}).sections?.length;
      studio.redraw(list, ...((props.value || {}).sections || []).map((title, number) => el("li", {}, el("button", { type: "button", "data-number": number }, title))));
      mark();
    };
    list.addEventListener("click", ({ target }) => {
      const button = target.closest("[data-number]");
      if (button) jump(Number(button.dataset.number));
    });
    document.addEventListener("click", (event) => {
      const link = event.target.closest?.(`#${text} a[href^="#page-"]`);
      if (!link) return;
      event.preventDefault();
      props.value = { ...props.value, open: link.getAttribute("href").slice("#page-".length) };
      tell.input();
      window.scrollTo({ top: 0 });
    });
    window.addEventListener("scroll", mark, { passive: true });
    watch("value", draw);
    draw();
  };
})();
