// The theme that was chosen, set before anything is painted; a classic script for that reason.
(() => {
  const THEMES = ["auto", "light", "dark"];
  const root = document.documentElement;

  function chosen() {
    try {
      const theme = localStorage.getItem("theme");
      return THEMES.includes(theme) ? theme : "auto";
    } catch {
      return "auto"; // Storage may be forbidden.
    }
  }

  function show(theme) {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
  }

  show(chosen());
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    let theme = chosen();
    const name = () => {
      button.textContent = `Theme: ${theme}`;
    };
    name();
    button.hidden = false;
    button.addEventListener("click", () => {
      theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
      show(theme);
      name();
      try {
        localStorage.setItem("theme", theme);
      } catch {
        // Then it lasts as long as the page.
      }
    });
  });
})();
