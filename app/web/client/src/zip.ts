// A zip without compression: pixels hardly shrink, and a browser has better things to do.
const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
  let crc = value;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc >>> 0;
});

/** Give a zip of files under numbered names, so that no name of a patient travels in it. */
export async function writeZip(files: readonly File[]): Promise<Blob> {
  const parts: BlobPart[] = [];
  const directory: BlobPart[] = [];
  let offset = 0;
  let directoryBytes = 0;
  for (const [number, file] of files.entries()) {
    const content = new Uint8Array(await file.arrayBuffer());
    const name = new TextEncoder().encode(`${String(number).padStart(5, "0")}.dcm`);
    const facts = [computeCrc(content), content.length, content.length] as const;
    const head = writeHead(LOCAL, name, facts);
    const entry = writeHead(CENTRAL, name, facts, offset);
    parts.push(head, content);
    directory.push(entry);
    offset += head.byteLength + content.length;
    directoryBytes += entry.byteLength;
  }
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, END, true);
  end.setUint16(8, files.length, true);
  end.setUint16(10, files.length, true);
  end.setUint32(12, directoryBytes, true);
  end.setUint32(16, offset, true);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

function writeHead(
  mark: number,
  name: Uint8Array,
  facts: readonly [number, number, number],
  offset = 0,
): Uint8Array<ArrayBuffer> {
  const isCentral = mark === CENTRAL;
  const size = isCentral ? 46 : 30;
  const written = new Uint8Array(size + name.length);
  const view = new DataView(written.buffer);
  const start = isCentral ? 6 : 4;
  view.setUint32(0, mark, true);
  if (isCentral) view.setUint16(4, 20, true);
  view.setUint16(start, 20, true);
  view.setUint16(start + 8, 0x21, true); // 1980-01-01, the earliest date there is
  for (const [place, fact] of facts.entries()) view.setUint32(start + 10 + 4 * place, fact, true);
  view.setUint16(start + 22, name.length, true);
  if (isCentral) view.setUint32(42, offset, true);
  written.set(name, size);
  return written;
}

function computeCrc(content: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of content) crc = (crc >>> 8) ^ (TABLE[(crc ^ byte) & 0xff] ?? 0);
  return (crc ^ 0xffffffff) >>> 0;
}
