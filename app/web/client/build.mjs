// Bundles scripts and styles into ../static, each name with a digest of its content.
import { build } from "esbuild";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "..", "static");
const aside = `${target}.partial`;

await rm(aside, { recursive: true, force: true });
await mkdir(aside, { recursive: true });
const result = await build({
  entryPoints: ["src/pages.ts", "src/pages.css"].map((name) => join(here, name)),
  absWorkingDir: here,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  splitting: true,
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  legalComments: "eof",
  metafile: true,
  outdir: aside,
  logLevel: "warning",
});
const names = {};
for (const [path, output] of Object.entries(result.metafile.outputs)) {
  const file = basename(path);
  const source = output.entryPoint?.startsWith("src/") ? basename(output.entryPoint) : file;
  names[source.replace(/\.ts$/, ".js")] = file;
}
await writeFile(join(aside, "assets.json"), `${JSON.stringify(names, null, 2)}\n`);
await rm(target, { recursive: true, force: true });
await rename(aside, target);
