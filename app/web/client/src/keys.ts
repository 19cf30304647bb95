// One table of keys for the whole page; fields keep what is typed into them.
type Act = (event: KeyboardEvent) => void;

const acts = new Map<string, Act>();
let prefix = "";
let prefixAt = 0;
const PREFIX_MS = 1200;

/** Let a key do something; `g w` is two keys, one after the other. */
export function onKey(key: string, act: Act): void {
  acts.set(key, act);
}

/** Begin to listen. */
export function listenToKeys(): void {
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") leaveField(event);
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
    if (document.querySelector("dialog[open]")) return;
    const name = takePrefix() + event.key;
    if (event.key === "g") {
      prefix = "g ";
      prefixAt = event.timeStamp;
      return;
    }
    const act = acts.get(name);
    if (!act) return;
    event.preventDefault();
    act(event);
  });
  const sheet = document.querySelector<HTMLDialogElement>("#keys");
  onKey("?", () => sheet?.showModal());
  onKey("g w", () => location.assign("/worklist"));
  onKey("g u", () => location.assign("/upload"));
  document.addEventListener("click", (event) => {
    if ((event.target as Element).closest("[data-keys-open]")) sheet?.showModal();
  });

  function takePrefix(): string {
    const taken = performance.now() - prefixAt < PREFIX_MS ? prefix : "";
    prefix = "";
    return taken;
  }
}

function isTyping(event: KeyboardEvent): boolean {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) {
    const isButton = ["checkbox", "radio", "button", "submit"].includes(target.type);
    const isSlider = target.type === "range";
    return isSlider ? /^(Arrow|Home|End|Page)/.test(event.key) : !isButton;
  }
  if (target instanceof HTMLSelectElement) return event.key.length === 1 || /^Arrow/.test(event.key);
  return target instanceof HTMLTextAreaElement || target.isContentEditable;
}

function leaveField(event: KeyboardEvent): void {
  const focused = document.activeElement;
  // Browsers empty a search field by this key: what was searched for shall stay.
  if (focused instanceof HTMLInputElement && focused.type === "search") event.preventDefault();
  if (focused instanceof HTMLElement && focused.matches("input, textarea, select")) focused.blur();
}
