// The Playground's own components: one model's answers, images to ask about, conversations that are kept, and the blind vote:
// one question, two answers without names, buttons and keys to judge them, the verdict in words.
(() => {
  "use strict";
  const studio = window.studio, { el, fill } = studio;
  const KEYS = { ArrowLeft: "left", 1: "left", ArrowRight: "right", 2: "right", 0: "tie" };
  const TYPING = "input:not([type=checkbox]), textarea, select, [contenteditable=true], [role=tab], [role=radio], [role=slider], [role=listbox]";

  /** A conversation as it grows. Value: {turns, status, busy, failure}; tells `shown` when it comes into view. */
  studio.answers = (host, props, watch, emit) => {
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
    new IntersectionObserver(([seen]) => seen.isIntersecting && emit.shown()).observe(host);
  };

  /** Thumbnails to click. Value: {images, clicked}; tells `input` after a click. */
  studio.imageStrip = (host, props, watch, emit) => {
    const words = props.words;
    const draw = () => {
      const { images = [] } = props.value || {};
      if (!images.length) return studio.redraw(host, el("p", { class: "none" }, words.none));
      studio.redraw(host, el("div", { role: "group", "aria-label": words.label }, ...images.map((image, number) =>
        el("button", { type: "button", "data-number": number, "aria-label": fill(words.use, { number: number + 1 }) },
          el("img", { src: studio.imageAt(image, true), alt: "", loading: "lazy" })))));
    };
    host.addEventListener("click", ({ target }) => {
      const button = target.closest("[data-number]");
      if (!button) return;
      props.value = { ...props.value, clicked: props.value.images[Number(button.dataset.number)] };
      emit.input();
    });
    watch("value", draw);
    draw();
  };

  /** What the address asks for. It tells `talk` or `blind`, with {id} in the value, where there is such a link. */
  studio.pageLink = (host, props, watch, emit) => {
    const query = new URLSearchParams(window.location.search);
    const kind = ["talk", "blind"].find((each) => query.get(each));
    if (!kind) return;
    props.value = { id: query.get(kind) };
    emit[kind]();
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
  studio.keptList = (host, props, watch, emit) => {
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
      const { open, delete: removed } = button.dataset;
      if (removed && !button.classList.contains("sure")) {
        button.classList.add("sure");
        button.textContent = words.sure;
        button.removeAttribute("aria-label");
        return;
      }
      props.value = { ...props.value, clicked: open || removed };
      (open ? emit.open : emit.remove)();
    });
    watch("value", draw);
    draw();
    new IntersectionObserver(([seen]) => seen.isIntersecting && emit.shown()).observe(host);
  };

  /** Value: as the server makes it; tells `voted` with {vote} in the value, and `reveal`. */
  studio.blindVote = (host, props, watch, emit) => {
    const words = props.words;
    const where = el("h2", { class: "ct", tabindex: "-1" }), link = el("span"), question = el("div", { class: "question" });
    const sides = el("div", { class: "two-sides" }), score = el("p", { class: "tally", "aria-live": "polite" });
    const buttons = ["left", "tie", "right", "skip"].map((side) => el("button", { type: "button", "data-vote": side, class: side === "skip" ? "quiet" : "vote" }, words[`vote.${side}`]));
    const voting = el("div", { class: "voting" }, el("div", { class: "votes", role: "group", "aria-label": words.votes }, ...buttons), el("p", { class: "keys" }, words.keys));
    const reveal = el("button", { type: "button", class: "quiet reveal", onclick: () => emit.reveal() }, words.reveal);
    const ending = el("div", { class: "ending" }, reveal, el("span", {}, words.reveal_help)), result = el("div", { class: "result" });
    host.append(el("header", {}, where, link), question, sides, voting, score, ending, result);

    const state = () => (props.value || {}).state || "";
    const cast = (side) => {
      if (state() !== "ready" && !(state() === "failed" && side === "skip")) return false;
      props.value = { ...props.value, vote: side };
      emit.voted();
      return true;
    };
    const side = (name, text) => el("section", { class: "side", "aria-label": words[name] }, el("h3", {}, words[name]),
      studio.bubble({ role: "assistant", parts: text.trim() ? [{ text }] : [] }, words));
    const SIDES = {
      asking: () => [el("div", { class: "thinking" }, el("i"), el("i"), el("i"), el("span", {}, words.thinking))],
      ready: ({ left, right }) => [side("left", left), side("right", right)],
      failed: () => [el("div", { class: "report bad", role: "alert" }, el("b", {}, words.failed), el("p", {}, words.failed_help))],
      done: () => [el("p", { class: "none" }, words.done)],
      stuck: ({ failure }) => [el("div", { class: "report bad", role: "alert" }, el("b", {}, words.stuck), el("p", {}, failure.message), el("p", {}, failure.hint))],
    };
    const verdict = ({ said: sentence, share, models, ties, judged }) => [
      el("p", { class: "verdict" }, sentence), share ? el("p", {}, share) : null,
      el("dl", {}, ...models.flatMap(({ name, won }) => [el("dt", {}, name), el("dd", {}, studio.fill(words.won, { won: studio.count(won) }))]),
        el("dt", {}, words.ties), el("dd", {}, studio.count(ties))),
      judged.length ? el("details", {}, el("summary", {}, words.judged), el("ol", {}, ...judged.map((vote) =>
        el("li", { value: vote.number }, el("span", {}, vote.left), el("span", {}, vote.right), el("b", {}, words[`vote.${vote.vote}`]))))) : null,
    ];

    let shownId = null;
    const draw = () => {
      const value = props.value || {};
      const isRevealed = value.state === "revealed";
      host.hidden = !value.id;
      if (value.id !== shownId) {
        shownId = value.id;
        link.replaceChildren(...(value.id ? [studio.linkButton("blind", value.id, words)] : []));
      }
      where.textContent = isRevealed ? words.arena : value.where || "";
      studio.redraw(question, ...(value.turns || []).map((turn) => studio.bubble(turn, words)));
      studio.redraw(sides, ...(SIDES[value.state]?.(value) || []));
      studio.redraw(result, ...(isRevealed ? verdict(value) : []));
      buttons.forEach((button) => button.setAttribute("aria-disabled", String(value.state !== "ready" && !(value.state === "failed" && button.dataset.vote === "skip"))));
      voting.hidden = isRevealed || ["done", "stuck"].includes(value.state);
      ending.hidden = score.hidden = isRevealed;
      if (score.textContent !== (value.tally || "")) score.textContent = value.tally || "";
    };
    voting.addEventListener("click", ({ target }) => target.dataset.vote && cast(target.dataset.vote));
    const pressed = (event) => {
      if (!host.isConnected) return document.removeEventListener("keydown", pressed);
      if (!(event.key in KEYS) || event.repeat || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
      if (event.target.closest?.(TYPING) || !studio.isSeen(host)) return;
      if (cast(KEYS[event.key])) event.preventDefault();
    };
    document.addEventListener("keydown", pressed);
    watch("value", draw);
    draw();
  };
})();
