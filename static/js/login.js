// The login page in the appearance that was chosen on the studio's own page; without a choice, as the system has it.
(() => {
  "use strict";
  try {
    const chosen = localStorage.getItem("studio.ui.theme");
    if (chosen === "dark" || chosen === "light") document.documentElement.className = chosen;
  } catch { /* a browser that keeps nothing shows what the system has */ }
})();
