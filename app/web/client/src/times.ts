// Instants stand in the page in UTC; the reader's own zone is told on pointing at one.
const FORMAT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Tell local times, now and in every part that comes later. */
export function startTimes(): void {
  tellTimes(document);
  document.addEventListener("htmx:load", (event) => tellTimes(event.target as Element));
}

function tellTimes(root: ParentNode): void {
  for (const time of root.querySelectorAll<HTMLTimeElement>("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.valueOf())) time.title = FORMAT.format(at);
  }
}
