// The viewer of a case: three linked pictures of one slice, and what can be done with them.
import { Controls, type Settings } from "./controls";
import { writeFloats, type Plane } from "./nifti";
import { traceOutline } from "./outline";
import { OUTLINE_LOOK, OVERLAY_MAP, Pane, type Look } from "./pane";
import { Pointer } from "./pointer";
import { tellRefusal } from "./notices";
import { SliceStore, type Geometry, type Layer, type Slice } from "./slices";

const FIRST_PICTURE_MS = 2000;
const PAINT_MS = 34;

type PaneName = "scan" | "reconstruction" | "error_map";

interface Facts {
  address: string;
  hasMap: boolean;
  hottest: number;
  table: string;
  outline: string;
  low: number;
  high: number;
}

/** Begin to show a case. */
export async function startViewer(root: HTMLElement): Promise<void> {
  const facts = readFacts(root);
  await awaitFirstPicture(root);
  const answer = await fetch(`${facts.address}/geometry`);
  if (!answer.ok) {
    await tellRefusal(answer);
    return;
  }
  const geometry = (await answer.json()) as Geometry;
  const viewer = new Viewer(root, facts, geometry);
  await viewer.start();
}

/** Let the first picture come before the work on the second: it is what people wait for. */
async function awaitFirstPicture(root: HTMLElement): Promise<void> {
  const picture = root.querySelector<HTMLImageElement>(".first-picture");
  if (picture && !picture.complete) {
    const settled = new Promise((done) => {
      for (const event of ["load", "error"]) picture.addEventListener(event, done, { once: true });
    });
    await Promise.race([settled, new Promise((done) => setTimeout(done, FIRST_PICTURE_MS))]);
  }
  await new Promise((done) => setTimeout(done, PAINT_MS));
}

function readFacts(root: HTMLElement): Facts {
  const data = root.dataset;
  return {
    address: `/api/v1/cases/${data.caseId}`,
    hasMap: data.hasMap === "yes",
    hottest: Number(data.hottest),
    table: data.colors ?? "",
    outline: data.outline ?? "",
    low: Number(data.low),
    high: Number(data.high),
  };
}

class Viewer {
  private readonly panes = new Map<PaneName, Pane>();
  private readonly store: SliceStore;
  private readonly controls: Controls;
  private slice: Slice | undefined;
  private outline: Plane | undefined;
  private isDrawn = false;
  private asked = 0;

  constructor(
    private readonly root: HTMLElement,
    private readonly facts: Facts,
    private readonly geometry: Geometry,
  ) {
    const layers: Layer[] = facts.hasMap ? ["scan", "error_map", "reconstruction"] : ["scan"];
    this.store = new SliceStore(facts.address, layers, geometry);
    const hottest = facts.hottest < 0 ? Math.floor(geometry.slices / 2) : facts.hottest;
    this.controls = new Controls(root, geometry, hottest, {
      turn: (index) => void this.turn(index),
      restyle: (settings) => this.restyle(settings),
      smooth: (isSmooth) => this.each((pane) => pane.setSmooth(isSmooth)),
      view: (view) => this.each((pane) => pane.setView(view)),
    });
  }

  async start(): Promise<void> {
    try {
      await this.openPanes();
    } catch {
      this.tellNoWebgl();
    }
    new Pointer(this.root, this.panes, this.controls, this.geometry, () => this.slice);
    this.controls.start();
    await this.turn(this.controls.index);
  }

  private async openPanes(): Promise<void> {
    const { table, outline } = this.facts;
    for (const figure of this.root.querySelectorAll<HTMLElement>("[data-pane]")) {
      const canvas = figure.querySelector("canvas");
      const name = figure.dataset.pane as PaneName;
      if (!canvas) continue;
      if (name !== "scan" && !this.facts.hasMap) {
        tellInPane(figure, "No map: this scan was not scored.");
        continue;
      }
      const pane = new Pane(figure, canvas);
      await pane.open({ table, outline });
      this.panes.set(name, pane);
    }
  }

  /** Show another slice; when several are asked for quickly, the last one wins. */
  private async turn(index: number): Promise<void> {
    const number = ++this.asked;
    if (this.panes.size === 0) {
      this.turnPlain(index);
      return;
    }
    try {
      const slice = await this.store.find(index);
      if (number !== this.asked) return;
      this.slice = slice;
      this.outline = this.traceSlice(slice);
      await this.draw();
      this.controls.tellShown(index);
    } catch {
      if (number === this.asked) this.turnPlain(index);
    }
  }

  private traceSlice(slice: Slice): Plane | undefined {
    const map = slice.error_map;
    if (!map) return undefined;
    const values = traceOutline(map.values, map.columns, map.rows, this.facts.low);
    return { ...map, values, nifti: writeFloats(map.nifti, values) };
  }

  private async draw(): Promise<void> {
    const looks = this.buildLooks(this.controls.settings);
    for (const [name, pane] of this.panes) {
      await pane.show(this.listPlanes(name), looks[name]);
    }
    if (!this.isDrawn) {
      this.isDrawn = true;
      this.root.dataset.state = "ready";
    }
  }

  private restyle(settings: Settings): void {
    if (!this.isDrawn) return;
    const looks = this.buildLooks(settings);
    for (const [name, pane] of this.panes) pane.restyle(looks[name]);
  }

  private listPlanes(name: PaneName): Plane[] {
    const { scan, error_map, reconstruction } = this.slice ?? {};
    const maps = [error_map, this.outline];
    const planes = {
      scan: [scan, ...maps],
      reconstruction: [reconstruction],
      error_map: [scan, ...maps],
    };
    return planes[name].filter((plane): plane is Plane => plane !== undefined);
  }

  private buildLooks(settings: Settings): Record<PaneName, Look[]> {
    const { low, high } = settings.window;
    const grey = { colormap: "gray", low, high, opacity: 1 };
    const map = { colormap: OVERLAY_MAP, low: this.facts.low, high: this.facts.high };
    const shown = settings.hasOverlay ? settings.opacity : 0;
    const outlined = settings.hasOverlay && settings.hasOutline ? 1 : 0;
    return {
      scan: [grey, { ...map, opacity: shown }, { ...OUTLINE_LOOK, opacity: outlined }],
      reconstruction: [grey],
      error_map: [{ ...grey, opacity: 0 }, { ...map, opacity: 1 }, { ...OUTLINE_LOOK, opacity: 0 }],
    };
  }

  private each(act: (pane: Pane) => void): void {
    for (const pane of this.panes.values()) act(pane);
  }

  /** Without WebGL 2 the service's own pictures are shown, slice by slice. */
  private turnPlain(index: number): void {
    const picture = this.root.querySelector<HTMLImageElement>(".first-picture");
    const name = this.facts.hasMap ? "overlay.png" : "preview.png";
    if (picture) picture.src = `${this.facts.address}/${name}?slice=${index}`;
    this.controls.tellShown(index);
  }

  private tellNoWebgl(): void {
    this.panes.clear();
    for (const figure of this.root.querySelectorAll<HTMLElement>("[data-pane]")) {
      if (figure.dataset.pane !== "scan") tellInPane(figure, "This browser draws no WebGL 2.");
    }
  }
}

function tellInPane(figure: HTMLElement, text: string): void {
  const note = figure.querySelector<HTMLElement>(".pane-note");
  if (!note) return;
  note.textContent = text;
  note.hidden = false;
}
