// The blind vote: one question, two answers without names, buttons and keys to judge them, the verdict in words.
(() => {
  "use strict";
  const studio = window.studio, { el } = studio;
  const KEYS = { ArrowLeft: "left", 1: "left", ArrowRight: "right", 2: "right", ArrowDown: "tie", 0: "tie" };
  const TYPING = "input:not([type=checkbox]), textarea, select, [contenteditable=true], [role=tab], [role=radio], [role=slider], [role=listbox]";

  /** Value: as the server makes it; tells `voted` with {vote} in the value, and `reveal`. */
  studio.blindVote = (host, props, watch, tell) => {
    const words = props.words;
    const where = el("h2", { class: "ct", tabindex: "-1" }), link = el("span"), question = el("div", { class: "question" });
    const sides = el("div", { class: "two-sides" }), tally = el("p", { class: "tally", "aria-live": "polite" });
    const buttons = ["left", "tie", "right", "skip"].map((side) => el("button", { type: "button", "data-vote": side, class: side === "skip" ? "quiet" : "vote" }, words[`vote.${side}`]));
    const voting = el("div", { class: "voting" }, el("div", { class: "votes", role: "group", "aria-label": words.votes }, ...buttons), el("p", { class: "keys" }, words.keys));
    const reveal = el("button", { type: "button", class: "quiet reveal", onclick: () => tell.reveal() }, words.reveal);
    const ending = el("div", { class: "ending" }, reveal, el("span", {}, words.reveal_help)), result = el("div", { class: "result" });
    host.append(el("header", {}, where, link), question, sides, voting, tally, ending, result);

    const state = () => (props.value || {}).state || "";
    const cast = (side) => {
      if (state() !== "ready" && !(state() === "failed" && side === "skip")) return false;
      props.value = { ...props.value, vote: side };
      tell.voted();
      return true;
    };
    const side = (name, text) => el("section", { class: "side", "aria-label": words[name] }, el("h3", {}, words[name]),
      studio.bubble({ role: "assistant", parts: text.trim() ? [{ text }] : [] }, words));
    const said = {
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
      studio.redraw(sides, ...(said[value.state]?.(value) || []));
      studio.redraw(result, ...(isRevealed ? verdict(value) : []));
      buttons.forEach((button) => button.setAttribute("aria-disabled", String(value.state !== "ready" && !(value.state === "failed" && button.dataset.vote === "skip"))));
      voting.hidden = isRevealed || ["done", "stuck"].includes(value.state);
      ending.hidden = tally.hidden = isRevealed;
      if (tally.textContent !== (value.tally || "")) tally.textContent = value.tally || "";
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
