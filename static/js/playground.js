// The Playground's own components: one model's answers, and images to ask about.
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

  /** Thumbnails to click. Value: {images, clicked}; tells `input` after a click. */
  studio.imageStrip = (host, props, watch, tell) => {
    const words = props.words;
    const draw = () => {
      const { images = [] } = props.value || {};
      if (!images.length) return studio.redraw(host, el("p", { class: "none" }, words.none));
      studio.redraw(host, el("div", { role: "group", "aria-label": words.label }, ...images.map((shown, number) =>
        el("button", { type: "button", "data-number": number, "aria-label": fill(words.use, { number: number + 1 }) },
          el("img", { src: studio.imageAt(shown, true), alt: "", loading: "lazy" })))));
    };
    host.addEventListener("click", ({ target }) => {
      const button = target.closest("[data-number]");
      if (!button) return;
      props.value = { ...props.value, clicked: props.value.images[Number(button.dataset.number)] };
      tell.input();
    });
    watch("value", draw);
    draw();
  };

  /** What the address asks for. It tells `talk` or `blind`, with {id} in the value, where there is such a link. */
  studio.pageLink = (host, props, watch, tell) => {
    const query = new URLSearchParams(window.location.search);
    const kind = ["talk", "blind"].find((each) => query.get(each));
    if (!kind) return;
    props.value = { id: query.get(kind) };
    tell[kind]();
  };

  /** The page's own address with a conversation (`talk`) or a blind vote (`blind`) in it; neither where there is no id. */
  studio.linkTo = (kind, id) => {
    const address = new URL(window.location.href);
    ["talk", "blind"].forEach((each) => address.searchParams.delete(each));
    if (id) address.searchParams.set(kind, id);
    address.hash = "";
    return address.href;
  };

  /** A button that copies a link, and says so for a moment. The page's address becomes that link too. */
  studio.linkButton = (kind, id, words) => {
    window.history.replaceState(window.history.state, "", studio.linkTo(kind, id));
    return el("button", { type: "button", class: "quiet copy-link", onclick: async ({ currentTarget: button }) => {
      await studio.copy(studio.linkTo(kind, id));
      button.textContent = words.copied;
      setTimeout(() => { button.textContent = words.copy; }, 2000);
    } }, words.copy);
  };

  /** Where the conversation is kept. Value: {id, said}, {failure}, or nothing while it is not. */
  studio.talkLink = (host, props, watch) => {
    const words = props.words;
    host.setAttribute("aria-live", "polite");
    const draw = () => {
      const { id = "", said = "", failure = "" } = props.value || {};
      if (!id) window.history.replaceState(window.history.state, "", studio.linkTo("talk", ""));
      host.replaceChildren(...(id ? [el("span", {}, said), studio.linkButton("talk", id, words)] : failure ? [el("p", { class: "report bad" }, failure)] : []));
    };
    watch("value", draw);
    draw();
  };

  /** What was kept, newest first. Value: {items, clicked}; tells `open` or `remove` after a click; deleting is asked once more. */
  studio.keptList = (host, props, watch, tell) => {
    const words = props.words;
    const draw = () => {
      const { items = [] } = props.value || {};
      if (!items.length) return studio.redraw(host, el("p", { class: "none" }, words.none));
      studio.redraw(host, el("ul", { "aria-label": words.label }, ...items.map(({ id, title, said }) =>
        el("li", {},
          el("span", { class: "said" }, el("b", {}, title), el("small", {}, said)),
          el("button", { type: "button", class: "quiet", "data-open": id, "aria-label": `${words.open}: ${title}` }, words.open),
          el("button", { type: "button", class: "quiet", "data-delete": id, "aria-label": `${words.delete}: ${title}` }, words.delete)))));
    };
    host.addEventListener("click", ({ target }) => {
      const button = target.closest("[data-open], [data-delete]");
      if (!button) return;
      const { open, delete: gone } = button.dataset;
      if (gone && !button.classList.contains("sure")) {
        button.classList.add("sure");
        button.textContent = words.sure;
        button.removeAttribute("aria-label");
        return;
      }
      props.value = { ...props.value, clicked: open || gone };
      (open ? tell.open : tell.remove)();
    });
    watch("value", draw);
    draw();
    new IntersectionObserver(([seen]) => seen.isIntersecting && tell.shown()).observe(host);
  };
})();
