// NIfTI-1 of one slice, as the service writes it: plain, little-endian, int16 or float32.
const HEADER_BYTES = 352;
const INT16 = 4;
const FLOAT32 = 16;

export interface Plane {
  columns: number;
  rows: number;
  /** Row by row from the top left; real units. */
  values: Float32Array;
  /** The same as float32 NIfTI, for the viewer's textures. */
  nifti: ArrayBuffer;
}

/** Read one slice; int16 becomes float32, so that every slice has one type. */
export function readPlane(buffer: ArrayBuffer): Plane {
  const view = new DataView(buffer);
  const columns = view.getInt16(42, true);
  const rows = view.getInt16(44, true);
  const kind = view.getInt16(70, true);
  const start = view.getFloat32(108, true);
  const count = columns * rows;
  if (kind === FLOAT32) {
    return { columns, rows, values: new Float32Array(buffer, start, count), nifti: buffer };
  }
  if (kind !== INT16) throw new Error(`unexpected NIfTI data type ${kind}`);
  const values = Float32Array.from(new Int16Array(buffer, start, count));
  return { columns, rows, values, nifti: writeFloats(buffer, values) };
}

/** Give a NIfTI with the header of another one and these values. */
export function writeFloats(like: ArrayBuffer, values: Float32Array): ArrayBuffer {
  const written = new ArrayBuffer(HEADER_BYTES + values.byteLength);
  new Uint8Array(written).set(new Uint8Array(like, 0, HEADER_BYTES));
  const view = new DataView(written);
  view.setInt16(70, FLOAT32, true);
  view.setInt16(72, 32, true);
  view.setFloat32(108, HEADER_BYTES, true);
  new Float32Array(written, HEADER_BYTES).set(values);
  return written;
}
