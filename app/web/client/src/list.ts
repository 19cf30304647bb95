// The worklist by keyboard: move through the lines, open one, turn the page, search.
import { onKey } from "./keys";

/** Let keys work where there is a list. */
export function startList(): void {
  if (!document.querySelector("#rows")) return;
  onKey("ArrowDown", () => move(1));
  onKey("ArrowUp", () => move(-1));
  onKey("j", () => move(1));
  onKey("k", () => move(-1));
  onKey("Enter", () => openCurrent());
  onKey("]", () => document.querySelector<HTMLElement>("[data-next-page]")?.click());
  onKey("/", () => document.querySelector<HTMLInputElement>("[data-search]")?.focus());
  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    if (target.closest("a, button, input, label, select, summary")) return;
    const row = target.closest<HTMLElement>("tr[data-open]");
    if (row?.dataset.open && !getSelection()?.toString()) location.assign(row.dataset.open);
  });
}

function listLinks(): HTMLAnchorElement[] {
  return [...document.querySelectorAll<HTMLAnchorElement>("[data-list] tbody th a")];
}

function move(step: number): void {
  const links = listLinks();
  const here = links.indexOf(document.activeElement as HTMLAnchorElement);
  const next = here < 0 ? (step > 0 ? 0 : links.length - 1) : here + step;
  links[Math.max(0, Math.min(links.length - 1, next))]?.focus();
}

function openCurrent(): void {
  const focused = document.activeElement as HTMLElement | null;
  if (focused?.matches("a, button")) focused.click();
}
