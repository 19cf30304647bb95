// The mouse over the pictures: window by drag, slices by wheel, values under the cursor.
import type { Controls } from "./controls";
import type { Pane } from "./pane";
import type { Geometry, Slice } from "./slices";

interface Drag {
  x: number;
  y: number;
  low: number;
  high: number;
  viewX: number;
  viewY: number;
  isMove: boolean;
}

const WHEEL_STEP = 40;
const ZOOM_RATE = 1.0015;

export class Pointer {
  private drag: Drag | undefined;
  private wheel = 0;

  constructor(
    private readonly root: HTMLElement,
    private readonly panes: ReadonlyMap<string, Pane>,
    private readonly controls: Controls,
    private readonly geometry: Geometry,
    private readonly findSlice: () => Slice | undefined,
  ) {
    const place = root.querySelector<HTMLElement>(".panes");
    if (!place) return;
    place.addEventListener("wheel", (event) => this.turn(event), { passive: false });
    place.addEventListener("pointerdown", (event) => this.begin(event, place));
    place.addEventListener("pointermove", (event) => this.move(event));
    place.addEventListener("pointerup", () => (this.drag = undefined));
    place.addEventListener("pointercancel", () => (this.drag = undefined));
    place.addEventListener("pointerleave", () => this.tell(undefined));
    place.addEventListener("contextmenu", (event) => event.preventDefault());
    root.addEventListener("aegle:point", (event) => {
      this.tell((event as CustomEvent<{ row: number; column: number }>).detail);
    });
  }

  private turn(event: WheelEvent): void {
    event.preventDefault();
    if (event.ctrlKey || this.geometry.slices === 1) {
      this.controls.moveView({ zoom: this.controls.view.zoom * ZOOM_RATE ** -event.deltaY });
      return;
    }
    this.wheel += event.deltaMode === WheelEvent.DOM_DELTA_LINE ? event.deltaY * WHEEL_STEP : event.deltaY;
    const steps = Math.trunc(this.wheel / WHEEL_STEP);
    if (steps === 0) return;
    this.wheel -= steps * WHEEL_STEP;
    this.controls.turnTo(this.controls.index + Math.sign(steps));
  }

  private begin(event: PointerEvent, place: HTMLElement): void {
    place.setPointerCapture(event.pointerId);
    const { window, } = this.controls.settings;
    const { view } = this.controls;
    this.drag = {
      x: event.clientX,
      y: event.clientY,
      low: window.low,
      high: window.high,
      viewX: view.x,
      viewY: view.y,
      isMove: event.shiftKey || event.button !== 0,
    };
  }

  private move(event: PointerEvent): void {
    const { drag } = this;
    if (drag === undefined) {
      this.tell(this.findPixel(event));
      return;
    }
    const dx = event.clientX - drag.x;
    const dy = event.clientY - drag.y;
    if (drag.isMove) this.moveView(event, drag, dx, dy);
    else this.changeWindow(drag, dx, dy);
  }

  /** Across for width, down for brightness; a picture's side spans its file's window. */
  private changeWindow(drag: Drag, dx: number, dy: number): void {
    const unit = (this.geometry.window.high - this.geometry.window.low) / 400;
    const center = (drag.low + drag.high) / 2 - dy * unit;
    const width = Math.max(Math.abs(unit), drag.high - drag.low + dx * unit);
    this.controls.setWindow(center - width / 2, center + width / 2);
  }

  private moveView(event: PointerEvent, drag: Drag, dx: number, dy: number): void {
    const pane = this.findPane(event);
    const left = pane?.findPlace(0, 0);
    const right = pane?.findPlace(0, 1);
    if (!left || !right) return;
    const columnMm = this.geometry.spacing_mm?.[1] ?? 1;
    const mmPerPx = columnMm / Math.abs(right.x - left.x);
    this.controls.moveView({ x: drag.viewX + dx * mmPerPx, y: drag.viewY + dy * mmPerPx });
  }

  private findPane(event: PointerEvent): Pane | undefined {
    const figure = (event.target as Element).closest<HTMLElement>("[data-pane]");
    return this.panes.get(figure?.dataset.pane ?? "scan") ?? this.panes.get("scan");
  }

  private findPixel(event: PointerEvent): { row: number; column: number } | undefined {
    return this.findPane(event)?.findPixel(event.clientX, event.clientY);
  }

  /** Tell the values of a pixel, and mark it in every picture. */
  private tell(pixel: { row: number; column: number } | undefined): void {
    const readout = this.root.querySelector<HTMLElement>('[data-readout="value"]');
    if (readout) readout.textContent = this.describe(pixel);
    for (const pane of this.panes.values()) {
      const cross = pane.figure.querySelector<HTMLElement>(".cross");
      const place = pixel && pane.findPlace(pixel.row, pixel.column);
      if (!cross) continue;
      cross.hidden = !place;
      if (place) cross.style.translate = `${place.x}px ${place.y}px`;
    }
  }

  private describe(pixel: { row: number; column: number } | undefined): string {
    const slice = this.findSlice();
    if (!pixel || !slice?.scan) return "Move over the picture for values";
    const place = pixel.row * this.geometry.columns + pixel.column;
    const units = this.geometry.units ? ` ${this.geometry.units}` : "";
    const parts = [
      `row ${pixel.row}, column ${pixel.column}`,
      `${tell(slice.scan.values[place])}${units}`,
    ];
    if (slice.reconstruction) {
      parts.push(`redrawn ${tell(slice.reconstruction.values[place])}${units}`);
    }
    if (slice.error_map) parts.push(`error ${tell(slice.error_map.values[place])} ×`);
    return parts.join(" · ");
  }
}

function tell(value: number | undefined): string {
  if (value === undefined) return "–";
  return Number.isInteger(value) ? String(value) : value.toPrecision(4);
}
