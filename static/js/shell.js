// The frame of the page: the header's buttons, arrow keys among the tabs, and the way back to the login.
(() => {
  "use strict";
  const studio = window.studio, THEME = "studio.ui.theme";

  // A session that is over shows as an answer 401: loading the page anew leads to the login.
  const plainFetch = window.fetch;
  let isLeaving = false;
  window.fetch = async (...request) => {
    const response = await plainFetch(...request);
    if (response.status === 401 && !isLeaving) {
      isLeaving = true;
      window.location.reload();
    }
    return response;
  };

  /** The header: a switch for dark and light that is remembered, and the machine in a few words. */
  studio.topbar = (element, props, watch) => {
    const button = element.querySelector(".theme"), pill = element.querySelector(".pill");
    const form = element.querySelector(".who");
    const isDark = () => document.body.classList.contains("dark");
    const press = () => button.setAttribute("aria-pressed", isDark());
    button.addEventListener("click", () => {
      const theme = isDark() ? "light" : "dark";
      try { localStorage.setItem(THEME, theme); } catch { /* a browser that keeps nothing switches all the same */ }
      document.body.classList.toggle("dark", theme === "dark");
    });
    new MutationObserver(() => {
      press();
      window.dispatchEvent(new Event("studio:theme"));
    }).observe(document.body, { attributeFilter: ["class"] });
    const draw = () => {
      const { devices = "", user = "", who = "" } = props.value || {};
      pill.querySelector("span").textContent = devices;
      pill.hidden = !devices;
      form.querySelector("span").textContent = user;
      form.title = who;
      form.hidden = !user;
    };
    watch("value", draw);
    press();
    draw();
    arrows(props.nav_label);
  };

  /** Let arrow keys, Home and End move among the tabs, as a list of tabs does elsewhere. */
  const arrows = (label) => {
    const nav = document.querySelector("#nav");
    if (!nav) return void setTimeout(() => arrows(label), 50);
    nav.querySelector("[role=tablist]")?.setAttribute("aria-label", label);
    nav.addEventListener("keydown", (event) => {
      const here = event.target.closest("[role=tab]");
      if (!here) return;
      const tabs = [...here.parentElement.querySelectorAll("[role=tab]")].filter((tab) => tab.offsetParent);
      const last = tabs.length - 1, at = tabs.indexOf(here);
      const moves = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: last };
      if (!(event.key in moves)) return;
      event.preventDefault();
      const next = tabs[(moves[event.key] + tabs.length) % tabs.length];
      next.focus();
      next.click();
    });
  };
})();
