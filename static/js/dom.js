// Small tools of the studio's own components: elements whose text is never read as HTML, numbers and times in words.
(() => {
  "use strict";
  const studio = (window.studio = window.studio || {});
  const language = () => document.documentElement.lang || "en";

  /** Make an element. Attributes that are false, null or undefined are left out; `on*` functions are listened to. */
  studio.el = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === false || value === null || value === undefined) continue;
      if (typeof value === "function") element.addEventListener(name.slice(2), value);
      else if (name === "style") element.style.cssText = value;
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
    return element;
  };

  /** The address before the studio's own paths: the page is at `<root>/` or, in Chinese, at `<root>/zh/`. */
  studio.root = () => window.location.pathname.replace(/\/(zh\/?)?$/, "");

  /** Load a script of the studio's own once; the promise fails where it cannot be loaded. */
  const scripts = new Map();
  studio.script = (path) => {
    if (!scripts.has(path)) {
      scripts.set(path, new Promise((loaded, failed) => {
        document.head.append(studio.el("script", { src: `${studio.root()}/${path}`, onload: loaded, onerror: failed }));
      }));
    }
    return scripts.get(path);
  };

  /** Put `values` into the `{places}` of a text of the catalogue. */
  studio.fill = (text, values) => text.replace(/\{(\w+)\}/g, (place, name) => (name in values ? values[name] : place));

  /** Text whose `quoted` words are set as code. */
  studio.prose = (text) => text.split(/(`[^`]+`)/).map((part) => (/^`[^`]+`$/.test(part) ? studio.el("code", {}, part.slice(1, -1)) : part));

  studio.count = (number) => new Intl.NumberFormat(language()).format(number);

  studio.percent = (share) => new Intl.NumberFormat(language(), { style: "percent", maximumFractionDigits: 1 }).format(share);

  /** A measurement with four significant digits; small ones in powers of ten; nothing known is a dash. */
  studio.measure = (number) => {
    if (number === null || number === undefined || Number.isNaN(number)) return "–";
    if (number !== 0 && Math.abs(number) < 1e-3) return number.toExponential(2);
    return new Intl.NumberFormat(language(), { maximumSignificantDigits: 4 }).format(number);
  };

  /** Seconds as a person says them: `40 s`, `12 min`, `3 h 05 min`, `2 d 4 h`. */
  studio.duration = (seconds, words) => {
    if (seconds === null || seconds === undefined || !(seconds >= 0)) return "–";
    const rounded = Math.round(seconds);
    if (rounded < 90) return studio.fill(words.seconds, { s: rounded });
    const minutes = Math.round(rounded / 60);
    if (minutes < 60) return studio.fill(words.minutes, { min: minutes });
    const hours = Math.floor(minutes / 60);
    if (hours < 48) return studio.fill(words.hours, { h: hours, min: String(minutes % 60).padStart(2, "0") });
    return studio.fill(words.days, { d: Math.floor(hours / 24), h: hours % 24 });
  };

  /** Whether a component can be seen now: in a shown tab of a shown page. */
  studio.isSeen = (element) => !document.hidden && element.isConnected && element.offsetParent !== null;

  /** Call `act` each time a component's tab is opened, the first time included; scrolling is no opening. */
  studio.onOpened = (element, act) => {
    let wasVisible = false;
    new ResizeObserver(() => {
      const isVisible = element.offsetParent !== null;
      if (isVisible && !wasVisible) act();
      wasVisible = isVisible;
    }).observe(element);
  };

  /** Replace what is in `host` only where it differs, so that focus and selection stay while nothing changes. */
  const lastHtml = new WeakMap();
  studio.redraw = (host, ...children) => {
    const fresh = document.createElement("div");
    fresh.append(...children.filter(Boolean));
    if (fresh.innerHTML === lastHtml.get(host)) return;
    lastHtml.set(host, fresh.innerHTML);
    host.replaceChildren(...fresh.childNodes);
  };

  /** A choice among a few values as a row of buttons. `key` names their data attribute; `choose` gets the value. */
  studio.choiceButtons = (key, values, labelOf, label, choose) => {
    const buttons = values.map((value, place) =>
      studio.el("button", { type: "button", [`data-${key}`]: value, "aria-pressed": String(place === 0) }, labelOf(value)));
    buttons.forEach((button, place) => button.addEventListener("click", () => {
      buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
      choose(values[place]);
    }));
    return studio.el("div", { class: "sides", role: "group", "aria-label": label }, ...buttons);
  };

  /** Buttons to page through a list. `go` gets the place of a page's first row; `show` tells where the list stands. */
  studio.pager = (words, size, go) => {
    let start = 0;
    const back = studio.el("button", { type: "button", class: "quiet", onclick: () => go(Math.max(0, start - size)) }, words.back);
    const next = studio.el("button", { type: "button", class: "quiet", onclick: () => go(start + size) }, words.next);
    const where = studio.el("span", { role: "status" });
    const element = studio.el("div", { class: "pager" }, back, where, next);
    const show = (page) => {
      start = page.start;
      const first = studio.count(Math.min(start + 1, page.total)), last = studio.count(Math.min(start + size, page.total));
      where.textContent = studio.fill(words.where, { first, last, from: first, to: last, total: studio.count(page.total) });
      back.disabled = start === 0;
      next.disabled = start + size >= page.total;
    };
    return { element, show };
  };

  /** How far something is, in per cent, with a text over the bar. */
  studio.progressBar = (label, percent, text) =>
    studio.el("div", { class: "importing", role: "progressbar", "aria-valuenow": percent, "aria-valuemin": "0", "aria-valuemax": "100", "aria-label": label },
      studio.el("span", {}, text), studio.el("div", { class: "meter" }, studio.el("i", { style: `width:${percent}%` })));

  /** What this browser tab remembers over a reload; nothing where it keeps nothing. */
  studio.remembered = (key) => { try { return sessionStorage.getItem(key) || ""; } catch { return ""; } };
  studio.remember = (key, value) => { try { sessionStorage.setItem(key, value); } catch { /* then it begins anew */ } };

  /** A button that copies text, and says so for a moment. */
  studio.copyButton = (words, text) => {
    const button = studio.el("button", { type: "button", class: "quiet", "data-copy": true }, words.copy);
    button.addEventListener("click", async () => {
      await studio.copy(text);
      button.textContent = words.copied;
      setTimeout(() => (button.textContent = words.copy), 1500);
    });
    return button;
  };

  /** A command for a terminal, to read and to copy. */
  studio.commandBlock = (words, command) =>
    studio.el("div", { class: "command" }, studio.el("div", { class: "command-bar" }, studio.el("h3", {}, words.command), studio.copyButton(words, command)),
      studio.el("pre", { tabindex: "0", "aria-label": words.command }, command));

  /** Copy text, also where the page is served without https and has no clipboard. */
  studio.copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = studio.el("textarea", { style: "position:fixed;opacity:0" });
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };
})();
