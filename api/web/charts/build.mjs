// Writes ../static/echarts.js and the licences that go with it. The same sources give the same bytes everywhere.
//
//   node build.mjs            into the checkout
//   node build.mjs --into DIR somewhere else, for comparing
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const asked = process.argv.indexOf("--into");
const target = asked > 0 ? process.argv[asked + 1] : join(here, "..", "static");
const LIBRARIES = ["echarts", "zrender", "tslib"];

const facts = LIBRARIES.map((name) => ({
  name,
  folder: join(here, "node_modules", name),
  about: JSON.parse(readFileSync(join(here, "node_modules", name, "package.json"), "utf8")),
}));
// Tells a bundle that was not built from these sources, also where it can not be built again.
const SOURCES = ["echarts.mjs", "build.mjs", "package-lock.json"];
const mark = SOURCES.reduce((hash, name) => hash.update(readFileSync(join(here, name))), createHash("sha256")).digest("hex").slice(0, 16);
const banner = `/*! ${facts.map(({ name, about }) => `${name} ${about.version} (${about.license})`).join(", ")}; see echarts.LICENSE.txt; built from ${mark} */`;

await build({
  entryPoints: [join(here, "echarts.mjs")],
  outfile: join(target, "echarts.js"),
  absWorkingDir: here,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "none",
  banner: { js: banner },
  define: { "process.env.NODE_ENV": '"production"' },
  logLevel: "warning",
});

const read = (folder, names) =>
  names.flatMap((name) => {
    try {
      return [readFileSync(join(folder, name), "utf8").trim()];
    } catch {
      return [];
    }
  });
const notices = facts.map(({ name, about, folder }) => {
  const texts = read(folder, ["LICENSE", "LICENSE.txt", "NOTICE", "CopyrightNotice.txt"]);
  return [`${name} ${about.version}, licence ${about.license}`, ...texts].join("\n\n");
});
writeFileSync(join(target, "echarts.LICENSE.txt"), `${notices.join(`\n\n${"=".repeat(80)}\n\n`)}\n`);
