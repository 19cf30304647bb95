// The evaluation report of a bundle: handed in by choosing its file.
import { tellNotice, tellRefusal } from "./notices";

/** Let a file be chosen where there is a place for one. */
export function startReport(): void {
  const place = document.querySelector<HTMLElement>("[data-report]");
  const input = place?.querySelector<HTMLInputElement>("[data-report-file]");
  input?.addEventListener("change", () => {
    const file = input.files?.[0];
    if (place && file) void handIn(place, file);
    input.value = "";
  });
}

async function handIn(place: HTMLElement, file: File): Promise<void> {
  const headers = { "Content-Type": "text/html", "X-CSRF-Token": place.dataset.csrf ?? "" };
  try {
    const answer = await fetch(place.dataset.report ?? "", { method: "PUT", headers, body: file });
    if (answer.ok) location.reload();
    else await tellRefusal(answer);
  } catch {
    tellNotice("The service does not answer. The report was not handed in.");
  }
}
