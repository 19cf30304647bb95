// One picture of the viewer: a NiiVue instance that shows layers of the present slice.
import { NVImage, Niivue, SLICE_TYPE } from "@niivue/niivue";
import type { Plane } from "./nifti";

export interface Look {
  colormap: string;
  low: number;
  high: number;
  opacity: number;
}

export interface View {
  /** Millimetres that the picture is moved to the right and down, and how much it is enlarged. */
  x: number;
  y: number;
  zoom: number;
}

interface Scale {
  table: string;
  outline: string;
}

const OUTLINE_MAP = "aegle-outline";
export const OVERLAY_MAP = "aegle-overlay";
export const OUTLINE_LOOK: Look = { colormap: OUTLINE_MAP, low: 0.25, high: 0.5, opacity: 1 };

export class Pane {
  private readonly viewer: Niivue;
  private columns = 1;
  private rows = 1;

  constructor(
    readonly figure: HTMLElement,
    private readonly canvas: HTMLCanvasElement,
  ) {
    this.viewer = new Niivue({
      interactive: false,
      dragAndDropEnabled: false,
      crosshairWidth: 0,
      isColorbar: false,
      isOrientationTextVisible: false,
      isRadiologicalConvention: true,
      isNearestInterpolation: true,
      multiplanarPadPixels: 0,
      tileMargin: 0,
      backColor: [0, 0, 0, 1],
      loadingText: "",
      sliceType: SLICE_TYPE.AXIAL,
      isResizeCanvas: true,
      logLevel: "error",
    });
  }

  /** Take hold of the canvas; fails where the browser draws no WebGL 2. */
  async open(scale: Scale): Promise<void> {
    await this.viewer.attachToCanvas(this.canvas, false);
    this.viewer.addColormap(OVERLAY_MAP, readTable(scale.table));
    this.viewer.addColormap(OUTLINE_MAP, readTable(scale.outline.repeat(256)));
  }

  /** Show other planes; the first call makes the layers, later ones renew their values. */
  async show(planes: readonly Plane[], looks: readonly Look[]): Promise<void> {
    const first = planes[0];
    if (!first) return;
    this.columns = first.columns;
    this.rows = first.rows;
    if (this.viewer.volumes.length === 0) {
      for (const [layer, plane] of planes.entries()) await this.addLayer(plane, looks[layer]);
    } else {
      for (const [layer, plane] of planes.entries()) this.renew(layer, plane, looks[layer]);
    }
    this.viewer.updateGLVolume();
  }

  /** Show the present planes in another way. */
  restyle(looks: readonly Look[]): void {
    for (const [layer, look] of looks.entries()) this.style(layer, look);
    this.viewer.updateGLVolume();
  }

  setSmooth(isSmooth: boolean): void {
    this.viewer.setInterpolation(!isSmooth);
  }

  setView(view: View): void {
    this.viewer.setPan2Dxyzmm([-view.x, -view.y, 0, view.zoom]);
  }

  /** Give the pixel under a point of the window; undefined outside of the picture. */
  findPixel(clientX: number, clientY: number): { row: number; column: number } | undefined {
    const box = this.canvas.getBoundingClientRect();
    const ratio = this.canvas.width / box.width;
    const position = [(clientX - box.left) * ratio, (clientY - box.top) * ratio];
    const share = this.viewer.canvasPos2frac(position);
    const [across = -1, up = -1] = share;
    if (across < 0 || across > 1 || up < 0 || up > 1) return undefined;
    // The slice's world runs to the left and back, its columns and rows against it.
    const column = Math.min(this.columns - 1, Math.floor((1 - across) * this.columns));
    const row = Math.min(this.rows - 1, Math.floor((1 - up) * this.rows));
    return { row, column };
  }

  /** Give the place of a pixel's middle inside of the figure, in CSS pixels. */
  findPlace(row: number, column: number): { x: number; y: number } | undefined {
    const share = [1 - (column + 0.5) / this.columns, 1 - (row + 0.5) / this.rows, 0.5];
    const found = this.viewer.frac2canvasPos(share as unknown as Float32Array);
    if (!found) return undefined;
    const ratio = this.canvas.width / this.canvas.getBoundingClientRect().width;
    return { x: (found[0] ?? 0) / ratio, y: (found[1] ?? 0) / ratio };
  }

  private async addLayer(plane: Plane, look: Look | undefined): Promise<void> {
    const image = await NVImage.loadFromUrl({
      url: "slice.nii",
      name: "slice.nii",
      buffer: plane.nifti,
      colormap: look?.colormap ?? "gray",
      opacity: look?.opacity ?? 1,
      cal_min: look?.low ?? 0,
      cal_max: look?.high ?? 1,
      trustCalMinMax: false,
    });
    this.viewer.addVolume(image);
    this.style(this.viewer.volumes.length - 1, look);
  }

  private renew(layer: number, plane: Plane, look: Look | undefined): void {
    const image = this.viewer.volumes[layer];
    if (!image) return;
    image.img = plane.values;
    this.style(layer, look);
  }

  private style(layer: number, look: Look | undefined): void {
    const image = this.viewer.volumes[layer];
    if (!image || !look) return;
    image.cal_min = look.low;
    image.cal_max = look.high;
    image.opacity = look.opacity;
  }
}

/** Give a colour map of 256 steps; the first, at and below the threshold, is clear. */
function readTable(hex: string): { R: number[]; G: number[]; B: number[]; A: number[]; I: number[] } {
  const bytes = hex.match(/../g)?.map((pair) => Number.parseInt(pair, 16)) ?? [];
  const steps = [...Array(256).keys()];
  return {
    R: steps.map((step) => bytes[3 * step] ?? 0),
    G: steps.map((step) => bytes[3 * step + 1] ?? 0),
    B: steps.map((step) => bytes[3 * step + 2] ?? 0),
    A: steps.map((step) => (step === 0 ? 0 : 255)),
    I: steps,
  };
}
