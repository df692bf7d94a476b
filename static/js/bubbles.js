// Conversations with images, drawn alike wherever they are shown. All text is written as text.
(() => {
  "use strict";
  const studio = window.studio, { el } = studio;

  /** The address of an image that a view names: {of, name}. */
  studio.imageAt = ({ of, name }, thumb) =>
    `${studio.root()}/media/${of}/${encodeURIComponent(name)}${thumb ? "?thumb=true" : ""}`;

  const image = (view, words) => {
    if (view?.thumbnail) return el("span", { class: "image" }, el("img", { src: view.thumbnail, alt: view.name, title: view.name }));
    if (!view?.of) return el("span", { class: "image-name" }, view?.name || words.image);
    const image = el("img", { src: studio.imageAt(view, true), alt: words.image, loading: "lazy", decoding: "async" });
    return el("a", { class: "image", href: studio.imageAt(view), target: "_blank", rel: "noopener", "aria-label": words.enlarge }, image);
  };

  /** One turn. `words` needs user, assistant, system, image, enlarge and blank. */
  studio.bubble = ({ role, parts }, words) =>
    el("div", { class: `bubble ${role}` },
      el("small", {}, words[role]),
      ...(parts.length ? parts : [{ text: words.blank, blank: true }]).map((part) =>
        "image" in part ? image(part.image, words) : el("p", { class: part.blank ? "blank" : false }, part.text)));

  /** Problems by kind, each with what to do and some examples. */
  studio.problemGroups = (groups, words) =>
    el("div", { class: "problem-groups" }, ...groups.map((group) =>
      el("details", { class: group.severity },
        el("summary", {}, el("span", { class: "bdg" }, group.severity_said), el("b", {}, group.title), el("span", { class: "count" }, `× ${group.count}`),
          el("p", {}, group.hint)),
        el("ul", { "aria-label": words.examples }, ...group.examples.map((text) => el("li", {}, text))))));
})();
