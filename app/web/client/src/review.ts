// Reviews by keyboard: one key each for judge, undo, note, next, back.
import htmx from "htmx.org";
import { onKey } from "./keys";

const DECISIONS: Record<string, string> = { c: "confirmed", d: "dismissed", u: "unsure" };

/** Let keys work where there is a case. */
export function startReview(): void {
  const page = document.querySelector<HTMLElement>("[data-case]");
  if (!page) return;
  const note = document.querySelector<HTMLTextAreaElement>("#note");
  for (const [key, word] of Object.entries(DECISIONS)) {
    onKey(key, () => press(`[data-decide="${word}"]`));
  }
  onKey("z", () => press("[data-undo]"));
  onKey("m", () => note?.focus());
  onKey("n", () => location.assign(page.dataset.next ?? "/worklist"));
  onKey("b", () => location.assign(page.dataset.back ?? "/worklist"));
  document.addEventListener("htmx:afterRequest", (event) => {
    const { successful, elt } = (event as CustomEvent).detail as { successful: boolean; elt: Element };
    if (successful && elt.matches("[data-decide]") && note) note.value = "";
  });
  // Somebody else may have judged meanwhile: look again when the page is looked at again.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) htmx.trigger("#review", "renew");
  });
}

function press(selector: string): void {
  document.querySelector<HTMLElement>(selector)?.click();
}
