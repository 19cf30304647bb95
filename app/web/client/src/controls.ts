// Everything that can be set in the viewer: tools above the pictures, and their keys.
import { onKey } from "./keys";
import type { View } from "./pane";
import type { Geometry } from "./slices";
import { listPresets, type Preset } from "./windows";

export interface Settings {
  window: { low: number; high: number };
  opacity: number;
  hasOverlay: boolean;
  hasOutline: boolean;
}

interface Acts {
  turn(index: number): void;
  restyle(settings: Settings): void;
  smooth(isSmooth: boolean): void;
  view(view: View): void;
}

const OPACITY_STEP = 0.1;
const ZOOM_STEP = 1.25;
const LEAST_ZOOM = 0.5;
const MOST_ZOOM = 16;
const LAYOUTS = ["large", "equal", "single"];

export class Controls {
  readonly settings: Settings;
  readonly view: View = { x: 0, y: 0, zoom: 1 };
  index: number;
  private readonly presets: Preset[];
  private isSmooth = false;
  private region = -1;

  constructor(
    private readonly root: HTMLElement,
    private readonly geometry: Geometry,
    private readonly hottest: number,
    private readonly acts: Acts,
  ) {
    this.presets = listPresets(geometry);
    this.index = hottest;
    this.settings = {
      window: { ...geometry.window },
      opacity: 0.5,
      hasOverlay: true,
      hasOutline: true,
    };
  }

  /** Let tools and keys work. */
  start(): void {
    this.fillTools();
    this.listenToTools();
    this.listenToKeys();
    this.tellWindow();
    this.tellSides();
  }

  /** Go to another slice, as far as there are any. */
  turnTo(index: number): void {
    const next = Math.max(0, Math.min(this.geometry.slices - 1, index));
    if (next === this.index) return;
    this.index = next;
    this.acts.turn(next);
  }

  setWindow(low: number, high: number): void {
    this.settings.window = { low, high };
    this.tellWindow();
    this.acts.restyle(this.settings);
  }

  moveView(change: Partial<View>): void {
    Object.assign(this.view, change);
    this.view.zoom = Math.max(LEAST_ZOOM, Math.min(MOST_ZOOM, this.view.zoom));
    this.acts.view(this.view);
  }

  /** Tell which slice is on the screen. */
  tellShown(index: number): void {
    const slider = this.tool<HTMLInputElement>("slice");
    slider.value = String(index);
    slider.setAttribute("aria-valuetext", `${index + 1} of ${this.geometry.slices}`);
    this.readout("slice").textContent = `${index + 1} / ${this.geometry.slices}`;
    this.root.dataset.slice = String(index);
  }

  private fillTools(): void {
    const slider = this.tool<HTMLInputElement>("slice");
    slider.max = String(this.geometry.slices - 1);
    slider.value = String(this.index);
    this.root.dataset.many = this.geometry.slices > 1 ? "yes" : "no";
    const select = this.tool<HTMLSelectElement>("window");
    for (const [number, preset] of this.presets.entries()) {
      select.add(new Option(`${number + 1}  ${preset.name}`, String(number)));
    }
    const own = new Option("Own", "own");
    own.hidden = true;
    select.add(own);
  }

  private listenToTools(): void {
    this.onTool("hottest", "click", () => this.turnTo(this.hottest));
    this.onTool("layout", "click", () => this.changeLayout());
    this.onTool("fit", "click", () => this.moveView({ x: 0, y: 0, zoom: 1 }));
    this.onTool("smooth", "click", () => this.changeSmooth());
    this.onTool("slice", "input", () =>
      this.turnTo(Number(this.tool<HTMLInputElement>("slice").value)),
    );
    this.onTool("window", "change", () =>
      this.usePreset(Number(this.tool<HTMLSelectElement>("window").value)),
    );
    for (const name of ["overlay", "outline", "opacity"]) {
      this.onTool(name, "input", () => this.readTools());
    }
    for (const button of document.querySelectorAll<HTMLElement>("[data-region]")) {
      button.addEventListener("click", () => this.showRegion(button));
    }
  }

  private listenToKeys(): void {
    onKey("ArrowDown", () => this.turnTo(this.index + 1));
    onKey("ArrowUp", () => this.turnTo(this.index - 1));
    onKey("PageDown", () => this.turnTo(this.index + 10));
    onKey("PageUp", () => this.turnTo(this.index - 10));
    onKey("Home", () => this.turnTo(0));
    onKey("End", () => this.turnTo(this.geometry.slices - 1));
    onKey("j", () => this.turnTo(this.hottest));
    onKey("r", () => this.showNextRegion());
    onKey("h", () => this.flip("overlay"));
    onKey("o", () => this.flip("outline"));
    onKey("[", () => this.changeOpacity(-OPACITY_STEP));
    onKey("]", () => this.changeOpacity(OPACITY_STEP));
    onKey("i", () => this.changeSmooth());
    onKey("l", () => this.changeLayout());
    onKey("+", () => this.moveView({ zoom: this.view.zoom * ZOOM_STEP }));
    onKey("=", () => this.moveView({ zoom: this.view.zoom * ZOOM_STEP }));
    onKey("-", () => this.moveView({ zoom: this.view.zoom / ZOOM_STEP }));
    onKey("0", () => this.moveView({ x: 0, y: 0, zoom: 1 }));
    for (const number of this.presets.keys()) onKey(`${number + 1}`, () => this.usePreset(number));
  }

  private usePreset(number: number): void {
    const preset = this.presets[number];
    if (!preset) return;
    this.setWindow(preset.low, preset.high);
    this.tool<HTMLSelectElement>("window").value = String(number);
  }

  private readTools(): void {
    this.settings.hasOverlay = this.tool<HTMLInputElement>("overlay").checked;
    this.settings.hasOutline = this.tool<HTMLInputElement>("outline").checked;
    this.settings.opacity = Number(this.tool<HTMLInputElement>("opacity").value) / 100;
    this.acts.restyle(this.settings);
  }

  private flip(name: string): void {
    const box = this.tool<HTMLInputElement>(name);
    box.checked = !box.checked;
    this.readTools();
  }

  private changeOpacity(step: number): void {
    const slider = this.tool<HTMLInputElement>("opacity");
    slider.value = String(Number(slider.value) + 100 * step);
    this.readTools();
  }

  private changeSmooth(): void {
    this.isSmooth = !this.isSmooth;
    this.tool("smooth").setAttribute("aria-pressed", String(this.isSmooth));
    this.acts.smooth(this.isSmooth);
  }

  private changeLayout(): void {
    const panes = this.root.querySelector<HTMLElement>(".panes");
    if (!panes) return;
    const here = LAYOUTS.indexOf(panes.dataset.layout ?? "large");
    panes.dataset.layout = LAYOUTS[(here + 1) % LAYOUTS.length] ?? "large";
  }

  private showRegion(button: HTMLElement): void {
    const [slice = 0, row = 0, column = 0] = (button.dataset.region ?? "").split(",").map(Number);
    this.turnTo(slice);
    this.root.dispatchEvent(new CustomEvent("aegle:point", { detail: { row, column } }));
  }

  private showNextRegion(): void {
    const buttons = document.querySelectorAll<HTMLElement>("[data-region]");
    if (buttons.length === 0) return;
    this.region = (this.region + 1) % buttons.length;
    const button = buttons[this.region];
    button?.focus();
    button?.click();
  }

  private tellWindow(): void {
    const { low, high } = this.settings.window;
    const digits = Math.abs(high - low) < 10 ? 2 : 0;
    const center = ((low + high) / 2).toFixed(digits);
    this.readout("window").textContent = `C ${center} W ${(high - low).toFixed(digits)}`;
    this.tool<HTMLSelectElement>("window").value = "own";
    const here = this.presets.findIndex((preset) => preset.low === low && preset.high === high);
    if (here >= 0) this.tool<HTMLSelectElement>("window").value = String(here);
  }

  private tellSides(): void {
    const { sides } = this.geometry;
    const convention = this.root.querySelector<HTMLElement>('[data-readout="convention"]');
    if (convention) convention.textContent = describeSides(this.geometry);
    for (const edge of ["left", "right", "top", "bottom"] as const) {
      for (const mark of this.root.querySelectorAll<HTMLElement>(`.side.at-${edge}`)) {
        mark.textContent = sides?.[edge] ?? "";
      }
    }
  }

  private tool<Kind extends HTMLElement = HTMLElement>(name: string): Kind {
    const found = this.root.querySelector<Kind>(`[data-tool="${name}"]`);
    if (!found) throw new Error(`no tool ${name}`);
    return found;
  }

  private readout(name: string): HTMLElement {
    return this.root.querySelector<HTMLElement>(`[data-readout="${name}"]`) ?? this.root;
  }

  private onTool(name: string, event: string, act: () => void): void {
    this.tool(name).addEventListener(event, act);
  }
}

function describeSides(geometry: Geometry): string {
  if (!geometry.sides) return "The file does not say which side is which.";
  if (geometry.sides.is_radiological) {
    return "Radiological convention: the patient's left is on the right.";
  }
  return `As stored: ${geometry.sides.right} is on the right.`;
}
