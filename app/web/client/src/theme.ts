// Light or dark: the system's choice, until somebody switches.
const YEAR_S = 31_536_000;

/** Let the switch work; the server draws the next page in the chosen theme. */
export function startTheme(): void {
  document.querySelector("[data-theme-switch]")?.addEventListener("click", () => {
    const root = document.documentElement;
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    const next = (root.dataset.theme ?? system) === "dark" ? "light" : "dark";
    root.dataset.theme = next;
    document.cookie = `aegle_theme=${next}; path=/; max-age=${YEAR_S}; samesite=lax`;
  });
}
