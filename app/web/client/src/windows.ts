// Windows: which real values are drawn black and white.
import type { Geometry } from "./slices";

export interface Preset {
  name: string;
  low: number;
  high: number;
}

const CT: readonly [string, number, number][] = [
  ["Soft tissue", 40, 400],
  ["Lung", -600, 1500],
  ["Bone", 300, 2000],
  ["Brain", 40, 80],
  ["Liver", 60, 160],
];

/** Give the presets of a scan: the file's own first, then those of its modality. */
export function listPresets(geometry: Geometry): Preset[] {
  const { low, high } = geometry.window;
  const own = { name: "As in the file", low, high };
  if (geometry.modality === "CT") {
    return [own, ...CT.map(([name, center, width]) => fromCenter(name, center, width))];
  }
  const width = high - low;
  return [
    own,
    { name: "Wide", low: low - width / 4, high: high + width / 2 },
    { name: "Dark tissue", low, high: low + width / 2 },
    { name: "Bright tissue", low: low + width / 2, high },
    { name: "High contrast", low: low + width / 4, high: high - width / 4 },
    { name: "Inverted", low: high, high: low },
  ];
}

function fromCenter(name: string, center: number, width: number): Preset {
  return { name, low: center - width / 2, high: center + width / 2 };
}
