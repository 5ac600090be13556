// Use the service's page as a person does, in Chromium, light and dark, wide and on a phone, and print what happened as JSON.
//
//     node tests/tools/drive_page.mjs FOLDER ADDRESS SCREENSHOTS KEY FILE...
//
// FOLDER holds node_modules with playwright-core and axe-core, CHROMIUM names the browser. FILEs are chosen in the page; the
// last one is pasted. KEY is the password that the browser gives; empty for none. Part of tests/service.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [folder, address, screenshots, key, ...files] = process.argv.slice(2);
const require = createRequire(resolve(folder, "node_modules") + "/");
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: flags });
const found = [];

async function axeOf(page) {
  await page.evaluate(axe);
  return page.evaluate(async () => (await window.axe.run()).violations.map(each => `${each.id}: ${each.nodes[0].html.slice(0, 200)}`));
}

for (const colorScheme of ["light", "dark"]) {
  for (const width of [1100, 390]) {
    // The page's own policy holds while it is used; axe, which it would not let in, looks at it in a second context.
    const credentials = key ? { httpCredentials: { username: "me", password: key } } : {};
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 }, ...credentials });
    const page = await context.newPage();
    const problems = [], asked = [];
    page.on("console", message => { if (message.type() === "error" || message.type() === "warning") problems.push(message.text()); });
    page.on("pageerror", error => problems.push(String(error)));
    page.on("request", request => { if (!request.url().startsWith("blob:")) asked.push(request.url()); });
    await page.goto(address);
    await page.keyboard.press("Tab");
    const focused = await page.evaluate(() => document.activeElement.id);
    const chooser = page.waitForEvent("filechooser");
    await page.waitForTimeout(300); // until the browser hands choosers over
    await page.keyboard.press("Enter");
    await (await chooser).setFiles(files.slice(0, -1));
    const last = readFileSync(files.at(-1)).toString("base64");
    await page.evaluate(data => {
      const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], "pasted.jpg", { type: "image/jpeg" }));
      document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
    }, last);
    await page.waitForFunction(count => document.querySelectorAll("li .decision").length === count, files.length, { timeout: 60000 });
    await page.waitForFunction(() => [...document.images].every(each => each.complete));
    const cards = await page.evaluate(() => [...document.querySelectorAll("li")].map(each => ({
      text: [...each.children].map(part => part.textContent).filter(Boolean), veiled: Boolean(each.querySelector(".veiled")),
      heat: Boolean(each.querySelector("canvas")), shown: [...each.querySelectorAll("img")].map(image => image.naturalWidth > 0),
      turned: [...each.querySelectorAll("img")].some(image => getComputedStyle(image).imageOrientation !== "none"),
    })));
    const said = await page.textContent("#status");
    const tooWide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
    await page.screenshot({ path: join(screenshots, `${colorScheme}-${width}.png`), fullPage: true });
    await page.setInputFiles("#files", files);
    await page.click("#clear"); // while some are being scored
    await page.setInputFiles("#files", files.slice(0, 1));
    await page.waitForFunction(() => document.querySelectorAll("li .decision").length === 1, null, { timeout: 60000 });
    const cleared = await page.textContent("#status");
    await context.close();
    const lenient = await browser.newContext({ colorScheme, viewport: { width, height: 900 }, bypassCSP: true, ...credentials });
    const second = await lenient.newPage();
    await second.goto(address);
    await second.setInputFiles("#files", files);
    await second.waitForFunction(count => document.querySelectorAll("li .decision").length === count, files.length, { timeout: 60000 });
    const violations = await axeOf(second);
    await second.goto(new URL("docs", address).href);
    const docs = await axeOf(second);
    const docsTooWide = await second.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
    await second.screenshot({ path: join(screenshots, `docs-${colorScheme}-${width}.png`) });
    await lenient.close();
    found.push({ colorScheme, width, problems, asked, focused, cards, said, cleared, tooWide, violations, docs, docsTooWide });
  }
}
await browser.close();
console.log(JSON.stringify(found));
