// The slices of one case: fetched once, those near the present one first.
import { tellRefusal } from "./notices";
import { readPlane, type Plane } from "./nifti";

export type Layer = "scan" | "error_map" | "reconstruction";
export type Slice = Record<Layer, Plane | undefined>;

export interface Geometry {
  rows: number;
  columns: number;
  slices: number;
  spacing_mm: [number, number] | null;
  modality: string | null;
  units: string | null;
  window: { low: number; high: number };
  sides: { left: string; right: string; top: string; bottom: string; is_radiological: boolean } | null;
}

const MOST_KEPT_VALUES = 120_000_000;
const AT_ONCE = 2;

export class SliceStore {
  private readonly kept = new Map<number, Promise<Slice>>();
  private wanted = 0;
  private running = 0;

  constructor(
    private readonly address: string,
    private readonly layers: readonly Layer[],
    private readonly geometry: Geometry,
  ) {}

  /** Give a slice, fetched before all others. */
  find(index: number): Promise<Slice> {
    this.wanted = index;
    const found = this.kept.get(index) ?? this.fetchSlice(index);
    void found.finally(() => this.goOn());
    return found;
  }

  private fetchSlice(index: number): Promise<Slice> {
    const parts = this.layers.map(async (layer) => [layer, await this.fetchLayer(index, layer)]);
    const slice = Promise.all(parts).then((done) => Object.fromEntries(done) as Slice);
    this.kept.set(index, slice);
    slice.catch(() => this.kept.delete(index));
    this.forgetFar();
    return slice;
  }

  private async fetchLayer(index: number, layer: Layer): Promise<Plane> {
    const answer = await fetch(`${this.address}/slices/${index}?layer=${layer}`);
    if (!answer.ok) {
      await tellRefusal(answer);
      throw new Error(`slice ${index}: ${answer.status}`);
    }
    return readPlane(await answer.arrayBuffer());
  }

  /** Fetch neighbours of the present slice, a few at a time, outwards. */
  private goOn(): void {
    if (this.running >= AT_ONCE || this.kept.size >= this.mostKept()) return;
    const next = this.findNearestMissing();
    if (next === undefined) return;
    this.running += 1;
    void this.fetchSlice(next)
      .then(
        () => true,
        () => false,
      )
      .then((isFetched) => {
        this.running -= 1;
        if (isFetched) this.goOn();
      });
    this.goOn();
  }

  private findNearestMissing(): number | undefined {
    for (let distance = 1; distance < this.geometry.slices; distance += 1) {
      for (const index of [this.wanted + distance, this.wanted - distance]) {
        if (index >= 0 && index < this.geometry.slices && !this.kept.has(index)) return index;
      }
    }
    return undefined;
  }

  private mostKept(): number {
    const values = this.geometry.rows * this.geometry.columns * this.layers.length;
    return Math.max(3, Math.floor(MOST_KEPT_VALUES / values));
  }

  private forgetFar(): void {
    while (this.kept.size > this.mostKept()) {
      const far = [...this.kept.keys()].sort(
        (a, b) => Math.abs(b - this.wanted) - Math.abs(a - this.wanted),
      )[0];
      if (far === undefined || far === this.wanted) return;
      this.kept.delete(far);
    }
  }
}
