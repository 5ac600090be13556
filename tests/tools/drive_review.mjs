// Drive the review page in Chromium as a person would, by the keyboard, and print what happened as JSON.
//
//     node tests/tools/drive_review.mjs FOLDER SCENARIO LOG
//
// FOLDER holds node_modules with playwright-core and axe-core, CHROMIUM names the browser. LOG is what the review prints: the
// addresses, each good for one browser. Part of tests/service.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const [folder, scenario, log] = process.argv.slice(2);
const require = createRequire(resolve(folder, "node_modules") + "/");
const { chromium } = require("playwright-core");
const ARGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"];
const SECONDS = 60_000;

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ARGS });
const troubles = [];

let used = 0; // addresses

async function nextAddress() {
  for (let tries = 0; tries < 600; tries++) {
    const found = readFileSync(log, "utf8").match(/http:\/\/\S+/g) ?? [];
    if (found.length > used) return found[used++];
    await new Promise(done => setTimeout(done, 100));
  }
  throw new Error("no further address was printed");
}

async function visit(name, options = {}) {
  const address = await nextAddress();
  const context = await browser.newContext({ viewport: { width: 1100, height: 900 }, bypassCSP: scenario === "look", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(SECONDS);
  page.on("console", message => { if (message.type() === "error") troubles.push(message.text()); });
  page.on("pageerror", error => troubles.push(String(error)));
  page.on("request", request => {
    if (!request.url().startsWith(new URL(address).origin) && !request.url().startsWith("blob:")) troubles.push(`asks ${request.url()}`);
  });
  await page.goto(address);
  if (name) await begin(page, name);
  return page;
}

async function begin(page, name) {
  await page.fill("#name", name);
  await page.keyboard.press("Enter");
  await page.waitForSelector("figure img[src^=blob], #message:not([hidden])");
}

// The name of the picture that is to be decided; null where there is none.
const current = page => page.evaluate(() => {
  const figure = document.querySelector("#desk:not([hidden]) figure[aria-current=true]:not(.decided)");
  return figure ? figure.querySelector("figcaption").title : null;
});

// Until nothing is on its way any more: people are slower than the service.
const idle = page => page.waitForFunction(() => document.querySelector("#desk").getAttribute("aria-busy") !== "true");

// Keys so fast that nothing can come between them.
const burst = (page, keys) => page.evaluate(keys => keys.forEach(key =>
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }))), keys);

async function decide(page, key) {
  await idle(page);
  const before = await current(page);
  await page.keyboard.press(key);
  await page.waitForFunction(name => {
    const figure = document.querySelector("#desk:not([hidden]) figure[aria-current=true]:not(.decided)");
    return !document.querySelector("#message").hidden || (figure && figure.querySelector("figcaption").title !== name);
  }, before);
  await idle(page);
  return before;
}

// Undo; the picture that is to be decided again.
async function undo(page) {
  await idle(page);
  const before = await current(page);
  await page.keyboard.press("u");
  await page.waitForFunction(name => document.querySelector("figure[aria-current=true] figcaption")?.title !== name, before);
  await idle(page);
  return current(page);
}

const settled = page => page.waitForFunction(async () => (await fetch("api/overview", {
  method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" })).ok);

// The label that a picture gets, by the number in its name: digit and word.
const label = name => (Number(name.match(/(\d+)\.jpg/)[1]) % 3 ? ["1", "sfw"] : ["2", "nsfw"]);

async function work(page, most, decisions) {
  for (let count = 0; count < most && (await current(page)) !== null; count++) {
    const [key, word] = label(await current(page));
    decisions[await decide(page, key)] = word;
  }
}

const scenarios = {
  // 100 by the keyboard, one large and in a grid; undo, decide otherwise, reload, go on.
  async keyboard() {
    const page = await visit("Anna"), decisions = {};
    await work(page, 40, decisions);
    for (let count = 0; count < 5; count++) {
      const name = await undo(page);
      if (!(name in decisions)) throw new Error(`undone was ${name}, which was not decided`);
      delete decisions[name];
      decisions[await decide(page, "2")] = "nsfw"; // otherwise than before, and undone again
      if ((await undo(page)) !== name) throw new Error(`the second undo was not of ${name}`);
      decisions[await decide(page, "2")] = "nsfw";
    }
    await page.keyboard.press("v");
    await page.waitForSelector("#pictures.grid");
    await work(page, 30, decisions);
    await settled(page);
    await page.reload();
    await page.waitForSelector("figure img[src^=blob]");
    await work(page, 1000, decisions);
    const last = await undo(page); // behind the last picture, too
    if (!(last in decisions)) throw new Error(`undone at the end was ${last}`);
    decisions[await decide(page, "2")] = "nsfw";
    return { decisions, end: await page.textContent("#message-title") };
  },
  // Keys pressed faster than the service answers, undo among them.
  async fast() {
    const page = await visit("Anna"), decisions = {};
    for (let count = 0; count < 1000 && (await page.isHidden("#message")); count++) {
      const name = await current(page);
      if (name === null) continue;
      const [key, word] = label(name);
      const keys = count % 7 === 3 ? [key === "1" ? "2" : "1", "u", key] : count % 7 === 5 ? ["s", "u", "2", "u", key] : [key];
      await burst(page, keys);
      decisions[name] = word;
      if (keys.length > 1) await page.waitForFunction(() => !document.querySelector("#desk[aria-busy=true]"));
    }
    return { decisions, end: await page.textContent("#message-title") };
  },
  // A label behind an undo that gives nothing back.
  async nothing() {
    const page = await visit("Anna"), before = await current(page);
    await burst(page, ["u", "1"]);
    await page.waitForFunction(() => document.querySelector("#status").textContent.startsWith("There is nothing left to undo"));
    await idle(page);
    return { before, after: await current(page), decided: await decide(page, "2") };
  },
  // Two browsers at once: no picture comes to both.
  async two() {
    const pages = [await visit("Anna"), await visit("Ben")];
    const found = await Promise.all(pages.map(async page => {
      const decisions = {};
      await work(page, 1000, decisions);
      return decisions;
    }));
    return { both: found };
  },
  // What is hidden, what is shown, the keys that are no labels.
  async keys() {
    const page = await visit("Anna"), found = {};
    const filter = () => page.evaluate(() => getComputedStyle(document.querySelector("figure img")).filter);
    found.before = await filter();
    await page.keyboard.down(" ");
    found.held = await filter();
    await page.keyboard.up(" ");
    found.after = await filter();
    await page.keyboard.press("b");
    found.unblurred = await filter();
    await page.keyboard.press("g");
    found.plain = await filter();
    found.caption = await page.textContent("figcaption");
    await page.keyboard.press("n");
    await page.keyboard.type("see 1 and 2");
    await page.keyboard.press("Enter");
    const first = await current(page);
    await decide(page, "s");
    found.skipped = first;
    found.status = await page.textContent("#status");
    await page.keyboard.press("?");
    found.help = await page.isVisible("#help");
    await page.keyboard.press("1"); // nothing is decided behind the help
    await page.keyboard.press("Escape");
    found.second = await current(page);
    await page.keyboard.press("h");
    await page.waitForFunction(() => !document.querySelector("#status").textContent.startsWith("Drawing"));
    found.heat = await page.textContent("#status");
    found.strip = await page.$$eval("figure time", all => all.map(each => each.textContent));
    found.landmarks = await page.$$eval("header, nav, main, [role=status], section[aria-label]:not([hidden])", all => all.length);
    return found;
  },
  // On a phone: a finger on the picture shows it, buttons decide.
  async touch() {
    const page = await visit("Anna", { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }), found = {};
    const session = await page.context().newCDPSession(page);
    const box = await (await page.waitForSelector("figure img[src^=blob]")).boundingBox();
    const filter = () => page.evaluate(() => getComputedStyle(document.querySelector("figure img")).filter);
    const at = [{ x: box.x + box.width / 2, y: box.y + box.height / 2 }];
    found.before = await filter();
    await session.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: at });
    await page.waitForSelector("figure.shown");
    found.held = await filter();
    await session.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
    await page.waitForSelector("figure:not(.shown)");
    found.after = await filter();
    found.first = await current(page);
    await page.tap("#choices button:nth-child(2)");
    await page.waitForFunction(name => document.querySelector("figure[aria-current=true] figcaption").title !== name, found.first);
    await page.tap("#undo");
    await page.waitForFunction(name => document.querySelector("figure[aria-current=true] figcaption").title === name, found.first);
    await page.tap("#choices button:nth-child(1)");
    await page.waitForFunction(name => document.querySelector("figure[aria-current=true] figcaption").title !== name, found.first);
    await settled(page);
    return found;
  },
  // Two people differ about everything; one of them settles it.
  async settle() {
    const anna = await visit("Anna");
    while ((await current(anna)) !== null) await decide(anna, "1");
    const ben = await visit("Ben"), decisions = {};
    while ((await current(ben)) !== null) await decide(ben, "2");
    await ben.click("#settle");
    await ben.waitForSelector("#desk:not([hidden]) figure");
    const said = await ben.textContent("figcaption ul");
    const without = await ben.$$eval("#choices button", all => all.map(each => each.textContent));
    while ((await current(ben)) !== null) {
      const [key, word] = label(await current(ben));
      decisions[await decide(ben, key)] = word;
    }
    return { decisions, said, without, end: await ben.textContent("#message-title") };
  },
  // A service that has ended, in the words of another browser, and a proxy's page in its place.
  async silent() {
    const anna = await visit("Anna"), said = [];
    for (const answer of [
      () => Promise.reject(new TypeError("NetworkError when attempting to fetch resource.")),
      () => Promise.resolve(new Response("<h1>Bad Gateway</h1>", { status: 502 })),
    ]) {
      await anna.evaluate(`window.fetch = ${answer}`);
      await anna.keyboard.press("1");
      await idle(anna);
      said.push(await anna.textContent("#status"));
    }
    return { said };
  },
  // axe-core and screenshots, light and dark, wide and on a phone.
  async look() {
    const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8"), found = [];
    const page = await visit(null);
    const check = async what => {
      for (const colorScheme of ["light", "dark"]) {
        for (const width of [1100, 390]) {
          await page.emulateMedia({ colorScheme });
          await page.setViewportSize({ width, height: 900 });
          await page.evaluate(axe);
          const violations = await page.evaluate(async () =>
            (await axe.run()).violations.map(each => `${each.id}: ${each.nodes.map(node => node.html.slice(0, 200)).join(" | ")}`));
          const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
          if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/${what}-${colorScheme}-${width}.png` });
          found.push({ what, colorScheme, width, violations, wide });
        }
      }
    };
    await check("begin");
    await begin(page, "Anna");
    await check("one");
    await page.keyboard.press("v");
    await page.waitForSelector("#pictures.grid");
    await check("grid");
    await page.keyboard.press("?");
    await check("help");
    await page.keyboard.press("Escape");
    await page.click("#settle");
    await page.waitForSelector("#message:not([hidden])");
    await check("message");
    return { found };
  },
};

const result = await scenarios[scenario]();
await browser.close();
console.log(JSON.stringify({ ...result, troubles }));
