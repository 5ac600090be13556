// Check a page with axe-core, light and dark, wide and on a phone, and print what is wrong as JSON.
//
//     node tests/tools/check_page.mjs FOLDER PAGE
//
// FOLDER holds node_modules with playwright-core and axe-core, CHROMIUM names the browser. Part of tests/calibration.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, path] = process.argv.slice(2);
const require = createRequire(resolve(folder, "node_modules") + "/");
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
const found = [];
for (const colorScheme of ["light", "dark"]) {
  for (const width of [1100, 390]) {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 }, bypassCSP: true });
    const page = await context.newPage();
    await page.goto(pathToFileURL(path).href);
    await page.evaluate(axe);
    const violations = await page.evaluate(async () =>
      (await axe.run()).violations.map(each => `${each.id}: ${each.nodes.map(node => node.html.slice(0, 200)).join(" | ")}`));
    const tooWide = await page.evaluate(() =>
      [document.documentElement, ...document.querySelectorAll(".scroll")]
        .filter(each => each.scrollWidth > each.clientWidth)
        .map(each => `${each.getAttribute("aria-label") ?? "the page"}: ${each.scrollWidth} > ${each.clientWidth}`));
    found.push({ colorScheme, width, violations, tooWide });
    await context.close();
  }
}
await browser.close();
console.log(JSON.stringify(found));
