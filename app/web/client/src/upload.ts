// Upload: drop files or folders, a line and a verdict for each file, progress, a warning on leaving.
import { tellNotice } from "./notices";
import { packParcels, type Parcel } from "./series";
import { writeZip } from "./zip";

interface Receipt {
  is_done: boolean;
  upload_id: string;
  cases: { id: string; verdict: string | null; failure_code: string | null }[];
  files: { label: string | null; case_id: string; verdict: string | null; failure_code: string | null }[];
}

interface Answer {
  status: number;
  retryAfterS: number;
  body: unknown;
}

const AT_ONCE = 2;
const WAIT_S = 30;
const TRIES = 5;
const VERDICTS: Record<string, string> = {
  anomalous: "Anomalous",
  typical: "Typical",
  indeterminate: "Indeterminate",
};

/** Let files be dropped where there is a place for them. */
export function startUpload(): void {
  const place = document.querySelector<HTMLElement>("[data-upload]");
  if (place) new Upload(place);
}

class Upload {
  private readonly rows = new Map<File, HTMLTableRowElement>();
  private readonly waiting: Parcel[] = [];
  private running = 0;
  private sentBytes = 0;
  private allBytes = 0;
  private settled = 0;

  constructor(private readonly place: HTMLElement) {
    for (const input of place.querySelectorAll<HTMLInputElement>("input[type=file]")) {
      input.addEventListener("change", () => {
        void this.take([...(input.files ?? [])]);
        input.value = "";
      });
    }
    const zone = this.find("[data-drop]");
    zone.addEventListener("dragover", (event) => {
      event.preventDefault();
      zone.classList.add("is-over");
    });
    zone.addEventListener("dragleave", () => zone.classList.remove("is-over"));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      zone.classList.remove("is-over");
      void readDropped(event.dataTransfer).then((files) => this.take(files));
    });
    addEventListener("beforeunload", (event) => {
      if (this.isBusy()) event.preventDefault();
    });
  }

  private isBusy(): boolean {
    return this.settled < this.rows.size;
  }

  private async take(files: File[]): Promise<void> {
    const kept = files.filter((file) => !file.name.startsWith("."));
    if (kept.length === 0) return;
    this.find("[data-files]").hidden = false;
    for (const file of kept) this.addRow(file);
    this.allBytes += kept.reduce((sum, file) => sum + file.size, 0);
    this.tellProgress();
    this.waiting.push(...(await packParcels(kept)));
    for (let free = AT_ONCE - this.running; free > 0; free -= 1) void this.work();
  }

  private async work(): Promise<void> {
    this.running += 1;
    for (let parcel = this.waiting.shift(); parcel; parcel = this.waiting.shift()) {
      await this.deliver(parcel);
    }
    this.running -= 1;
    this.tellProgress();
  }

  private async deliver(parcel: Parcel): Promise<void> {
    const bytes = parcel.files.reduce((sum, file) => sum + file.size, 0);
    const before = this.sentBytes;
    for (const file of parcel.files) this.tell(file, "Sending", "sending");
    try {
      const content = parcel.files.length > 1 ? await writeZip(parcel.files) : parcel.files[0];
      const answer = await this.sendPatiently(content as Blob, (share) => {
        this.sentBytes = Math.max(this.sentBytes, before + share * bytes);
        this.tellProgress();
      });
      this.tellAnswer(parcel, answer);
    } catch {
      for (const file of parcel.files) this.tell(file, "Not sent: the service does not answer", "refused");
    }
    this.settled += parcel.files.length;
    this.sentBytes = before + bytes;
    this.tellProgress();
  }

  /** Send, and try again where the service says that it is too busy at the moment. */
  private async sendPatiently(content: Blob, tell: (share: number) => void): Promise<Answer> {
    let answer = await this.send(content, tell);
    for (let tried = 1; tried < TRIES && [429, 503].includes(answer.status); tried += 1) {
      await new Promise((done) => setTimeout(done, 1000 * Math.max(1, answer.retryAfterS)));
      answer = await this.send(content, tell);
    }
    return answer;
  }

  private send(content: Blob, tell: (share: number) => void): Promise<Answer> {
    const form = new FormData();
    for (const field of this.place.querySelectorAll<HTMLInputElement>("[data-field]")) {
      if (field.value.trim()) form.append(field.name, field.value.trim());
    }
    form.append("file", content, "scan");
    return new Promise((done, fail) => {
      const request = new XMLHttpRequest();
      request.open("POST", `/api/v1/scans?wait=${WAIT_S}`);
      request.responseType = "json";
      request.setRequestHeader("X-CSRF-Token", this.place.dataset.csrf ?? "");
      request.upload.addEventListener("progress", (event) => tell(event.loaded / event.total));
      request.addEventListener("error", () => fail(new Error("no answer")));
      request.addEventListener("load", () =>
        done({
          status: request.status,
          retryAfterS: Number(request.getResponseHeader("Retry-After") ?? 0),
          body: request.response,
        }),
      );
      request.send(form);
    });
  }

  private tellAnswer(parcel: Parcel, answer: Answer): void {
    if (answer.status === 401) tellNotice("Your session has ended. Sign in again in another tab, then send once more.");
    if (answer.status >= 400) {
      const { error } = (answer.body ?? {}) as { error?: { message?: string } };
      const reason = error?.message ?? `the service answered ${answer.status}`;
      for (const file of parcel.files) this.tell(file, `Refused: ${reason}`, "refused");
      return;
    }
    const receipt = answer.body as Receipt;
    for (const [number, file] of parcel.files.entries()) {
      const label = `${String(number).padStart(5, "0")}.dcm`;
      const told = parcel.files.length > 1 ? receipt.files.find((one) => one.label === label) : undefined;
      const outcome = told ?? receipt.cases[0] ?? receipt.files[0];
      this.tellOutcome(file, outcome, told?.case_id ?? receipt.cases[0]?.id);
    }
  }

  private tellOutcome(
    file: File,
    outcome: { verdict: string | null; failure_code: string | null } | undefined,
    caseId: string | undefined,
  ): void {
    if (outcome?.failure_code === "kept_unscored") {
      this.tell(file, "Kept: no scan, nothing to score", "kept");
    } else if (outcome?.failure_code) {
      const reason = outcome.failure_code.replaceAll("_", " ");
      this.tell(file, `Kept, but set aside: ${reason}`, "refused", caseId);
    } else if (outcome?.verdict) {
      this.tell(file, VERDICTS[outcome.verdict] ?? outcome.verdict, outcome.verdict, caseId);
    } else {
      this.tell(file, "Kept, waits to be scored", "waiting", caseId);
    }
  }

  private addRow(file: File): void {
    const row = document.createElement("tr");
    const name = document.createElement("th");
    name.scope = "row";
    name.textContent = file.webkitRelativePath || file.name;
    const size = document.createElement("td");
    size.className = "number";
    size.textContent = tellSize(file.size);
    const outcome = document.createElement("td");
    outcome.textContent = "Waiting";
    row.append(name, size, outcome);
    this.rows.set(file, row);
    this.find("tbody").append(row);
  }

  private tell(file: File, text: string, kind: string, caseId?: string): void {
    const row = this.rows.get(file);
    const cell = row?.cells[2];
    if (!row || !cell) return;
    row.className = kind;
    cell.textContent = "";
    const word = document.createElement("span");
    word.className = kind in VERDICTS ? `verdict ${kind}` : "outcome";
    word.textContent = text;
    cell.append(word);
    if (caseId && this.place.dataset.mayRead === "yes") {
      const link = document.createElement("a");
      link.href = `/cases/${caseId}`;
      link.textContent = "Open";
      link.setAttribute("aria-label", `Open the case of ${file.name}`);
      cell.append(" ", link);
    }
  }

  private tellProgress(): void {
    const bar = this.find<HTMLProgressElement>("progress");
    bar.max = Math.max(1, this.allBytes);
    bar.value = this.sentBytes;
    const count = this.rows.size;
    const text = this.isBusy()
      ? `${this.settled} of ${count} files settled, ${tellSize(this.sentBytes)} of ${tellSize(this.allBytes)} sent. Stay on this page.`
      : `All ${count} files settled.`;
    this.find("[data-progress]").textContent = text;
  }

  private find<Kind extends HTMLElement = HTMLElement>(selector: string): Kind {
    const found = this.place.querySelector<Kind>(selector);
    if (!found) throw new Error(`no ${selector}`);
    return found;
  }
}

/** Give all files that were dropped, those inside of folders too. */
async function readDropped(transfer: DataTransfer | null): Promise<File[]> {
  const items = [...(transfer?.items ?? [])];
  const entries = items.map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (entries.length === 0) return [...(transfer?.files ?? [])];
  return (await Promise.all(entries.map(readEntry))).flat();
}

async function readEntry(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) {
    return [await new Promise<File>((done, fail) => (entry as FileSystemFileEntry).file(done, fail))];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const files: File[] = [];
  for (;;) {
    // A reader gives a hundred entries at a time, and none at the end.
    const some = await new Promise<FileSystemEntry[]>((done, fail) => reader.readEntries(done, fail));
    if (some.length === 0) return files;
    files.push(...(await Promise.all(some.map(readEntry))).flat());
  }
}

function tellSize(bytes: number): string {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} KB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
