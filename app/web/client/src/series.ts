// Which files belong together: the slices of one DICOM series go as one zip.
const HEAD_BYTES = 65_536;
const PREAMBLE_BYTES = 132;

/** What is sent at once: one file, or the slices of a series. */
export interface Parcel {
  files: File[];
}

/** Put files into parcels; those that are no DICOM go alone. */
export async function packParcels(files: readonly File[]): Promise<Parcel[]> {
  const series = new Map<string, File[]>();
  const alone: Parcel[] = [];
  for (const file of files) {
    const uid = await findSeries(file);
    if (uid) series.set(uid, [...(series.get(uid) ?? []), file]);
    else alone.push({ files: [file] });
  }
  return [...[...series.values()].map((slices) => ({ files: slices })), ...alone];
}

/** Give the Series Instance UID (0020,000E) of a DICOM file; undefined where there is none near its beginning. */
async function findSeries(file: File): Promise<string | undefined> {
  const bytes = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
  const mark = String.fromCharCode(...bytes.subarray(128, PREAMBLE_BYTES));
  if (mark !== "DICM") return undefined;
  for (let at = PREAMBLE_BYTES; at + 8 < bytes.length; at += 2) {
    const isTag =
      bytes[at] === 0x20 && bytes[at + 1] === 0 && bytes[at + 2] === 0x0e && bytes[at + 3] === 0;
    if (isTag) return readUid(bytes, at + 4);
  }
  return undefined;
}

function readUid(bytes: Uint8Array, at: number): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isExplicit = bytes[at] === 0x55 && bytes[at + 1] === 0x49;
  const length = isExplicit ? view.getUint16(at + 2, true) : view.getUint32(at, true);
  if (length === 0 || length > 64 || at + 4 + length > bytes.length) return undefined;
  const text = String.fromCharCode(...bytes.subarray(at + 4, at + 4 + length));
  return /^[0-9.]+/.exec(text)?.[0];
}
