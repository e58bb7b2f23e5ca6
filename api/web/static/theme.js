// The viewer's choice of colours, applied before anything is drawn; without one the system decides.
(() => {
  const KEY = "hpsearch.theme";
  const NEXT = { auto: "light", light: "dark", dark: "auto" };
  const SPOKEN = { auto: "as the system", light: "light", dark: "dark" };

  const chosen = () => {
    try {
      const kept = localStorage.getItem(KEY);
      return kept in NEXT ? kept : "auto";
    } catch {
      return "auto";
    }
  };

  const apply = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    const button = document.getElementById("theme-switch");
    if (button) {
      button.setAttribute("aria-label", `Colours: ${SPOKEN[theme]}`);
      button.title = `Colours: ${SPOKEN[theme]}. Press for ${SPOKEN[NEXT[theme]]}.`;
    }
    document.dispatchEvent(new CustomEvent("hpsearch:theme"));
  };

  apply(chosen());
  document.addEventListener("DOMContentLoaded", () => {
    apply(chosen());
    document.getElementById("theme-switch").addEventListener("click", () => {
      const theme = NEXT[chosen()];
      try {
        localStorage.setItem(KEY, theme);
      } catch {
        // A browser that keeps nothing forgets the choice with the page.
      }
      apply(theme);
    });
  });
})();
