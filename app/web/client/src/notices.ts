// Notices: what could not be done, told beside the page and not in its place.

/** Show a line of text until it is closed. */
export function tellNotice(text: string): void {
  const place = document.querySelector("#notice");
  if (!place) return;
  const box = document.createElement("div");
  box.className = "notice";
  const line = document.createElement("p");
  line.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "quiet";
  close.dataset.noticeClose = "";
  close.textContent = "Close";
  box.append(line, close);
  place.replaceChildren(box);
}

/** Tell what an answer to a program refuses; a session that ended leads to the sign-in. */
export async function tellRefusal(answer: Response): Promise<void> {
  if (answer.status === 401) {
    tellNotice("Your session has ended.");
    location.assign(`/sign-in?ended=1&next=${encodeURIComponent(location.pathname)}`);
    return;
  }
  tellNotice(await readRefusal(answer));
}

/** Give the message of an answer that refuses. */
export async function readRefusal(answer: Response): Promise<string> {
  try {
    const body = (await answer.json()) as { error?: { message?: string } };
    return body.error?.message ?? `The service answered ${answer.status}.`;
  } catch {
    return `The service answered ${answer.status}.`;
  }
}

/** Let notices be closed, and tell when the service does not answer. */
export function startNotices(): void {
  document.addEventListener("click", (event) => {
    const button = (event.target as Element).closest("[data-notice-close]");
    button?.closest(".notice")?.remove();
  });
  document.addEventListener("htmx:sendError", () => {
    tellNotice("The service does not answer. Nothing was changed; try again.");
  });
  document.addEventListener("htmx:beforeRequest", () => {
    document.querySelector("#notice")?.replaceChildren();
  });
}
