// The page on which people decide. It talks to the service that it came from, and to nobody else.

const page = Object.fromEntries([...document.querySelectorAll("[id]")].map(each => [each.id, each]));
const SILENT = "The service does not answer; it may have ended. Your decisions so far are kept.";
const AHEAD = 3; // pictures in hand beside those that are shown
const KEYS = [
  ["1 to 9", "give the label of that number"], ["S", "skip: for others, or for later"], ["U", "undo, as often as you like"],
  ["Space", "hold: show the picture as it is"], ["B", "blur on or off"], ["G", "grey on or off"],
  ["V", "one picture or a grid of nine"], ["Arrows", "go to another picture of the grid"], ["N", "write a note"],
  ["H", "heat map: what adds to the score"], ["?", "this help"],
];

let setup = null; // what the service says of the review: labels, limits
let person = null; // how this person wants to work
let hand = []; // the pictures in hand, in order; the first ones are shown
let shown = []; // those on the page: {item, element, since, done}
let at = 0; // which of them is being decided
let settling = false;
let withSkipped = false;
let working = Promise.resolve(); // what is sent is sent in order
let undoing = null; // promise of an undo, and all that was asked for behind it: whether a picture came back
const sent = []; // the pictures whose decisions were sent, by id
let refilling = null;
const blobs = new Map(); // address -> promise of an object URL

// --- the service ---

let underWay = 0; // requests

function busy(by) {
  underWay += by;
  page.desk.setAttribute("aria-busy", String(underWay > 0));
}

// A good answer. Each browser has words of its own for a service that does not answer, and a proxy a page of its own.
async function answered(address, options = {}) {
  const answer = await fetch(address, { credentials: "same-origin", ...options }).catch(() => { throw new Error(SILENT); });
  if (answer.ok) return answer;
  const found = await answer.json().catch(() => null);
  throw Object.assign(new Error(found?.error?.message ?? SILENT), { code: found?.error?.code });
}

async function ask(what, data = {}) {
  busy(1);
  try {
    const answer = await answered(`api/${what}`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data),
      keepalive: true, // what was decided arrives even if the page is left
    });
    return await answer.json();
  } finally {
    busy(-1);
  }
}

function picture(address) {
  if (!blobs.has(address)) {
    blobs.set(address, answered(address).then(async answer => URL.createObjectURL(await answer.blob())));
    blobs.get(address).catch(() => blobs.delete(address));
  }
  return blobs.get(address);
}

function forget(item) {
  for (const [address, promise] of blobs) {
    if (address.startsWith(`picture/${item.id}/`)) {
      blobs.delete(address);
      promise.then(URL.revokeObjectURL, () => {});
    }
  }
}

const addresses = item => (item.frames.length ? item.frames : [null]).map((_, number) => `picture/${item.id}/${number}.jpg`);

// --- words ---

function say(text, wrong = false) {
  page.status.textContent = text;
  page.status.classList.toggle("wrong", wrong);
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function time(seconds) {
  const whole = Math.floor(seconds), pad = number => String(number).padStart(2, "0");
  const minutes = `${Math.floor(whole / 60) % 60}`;
  return whole >= 3600 ? `${Math.floor(whole / 3600)}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
}

function caption(item) {
  const parts = [];
  if (item.score !== undefined) parts.push(element("b", {}, `score ${item.score.toFixed(3)}`), ` (${item.verdict}) · `);
  if (item.alike) parts.push(`with ${item.alike} that look${item.alike === 1 ? "s" : ""} alike · `);
  parts.push(person.layout > 1 && !settling ? item.name.split("/").pop() : item.name);
  return parts;
}

// --- showing ---

function figure(item, number) {
  const made = element("figure", { tabIndex: -1 });
  made.setAttribute("aria-label", `Picture ${number + 1}`);
  const strip = element("div", { className: "strip" });
  addresses(item).forEach((address, index) => {
    const image = element("img", { alt: "", draggable: false });
    const frame = element("div", { className: "frame" }, image);
    const about = item.frames[index];
    image.alt = item.frames.length ? `frame ${index + 1} of ${item.frames.length} that score highest` : "the picture to decide";
    if (about && about.seconds !== null) frame.append(element("time", {}, time(about.seconds)));
    else if (about) frame.append(element("time", {}, `frame ${about.frame}`));
    strip.append(frame);
    // What is no longer on the page by then may be forgotten already.
    picture(address).then(url => { if (image.isConnected) image.src = url; }, error => lost(item, index, frame, error));
  });
  made.append(strip, element("figcaption", { title: item.name }, ...caption(item)));
  if (item.opinions) {
    const said = [...item.opinions.map(([who, label]) => `${who}: ${label}`), ...item.notes.map(([who, note]) => `${who} notes: ${note}`)];
    made.append(element("figcaption", {}, element("ul", {}, ...said.map(each => element("li", {}, each)))));
  }
  made.addEventListener("pointerdown", event => { focusOn(number); reveal(number, true); event.preventDefault(); });
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) made.addEventListener(end, () => reveal(number, false));
  made.addEventListener("contextmenu", event => event.preventDefault());
  return made;
}

function lost(item, index, frame, error) {
  frame.remove();
  if (index > 0) return; // a frame that is not there any more; the others are
  say(error.message, true);
  const entry = shown.find(each => each.item === item);
  if (entry && !entry.done) { entry.done = true; entry.lost = true; hand = hand.filter(each => each !== item); onward(); }
}

function reveal(number, open) {
  shown[number]?.element.classList.toggle("shown", open);
}

function veil() {
  for (const { element: each } of shown) {
    each.classList.toggle("blur", person.blur);
    each.classList.toggle("grey", person.grey);
  }
}

function focusOn(number) {
  at = number;
  shown.forEach((each, index) => each.element.setAttribute("aria-current", String(index === at)));
}

function clear() {
  page.pictures.replaceChildren();
  for (const each of shown) if (each.done) forget(each.item);
  shown = [];
}

function show() {
  const items = hand.slice(0, settling ? 1 : person.layout);
  clear();
  page.pictures.classList.toggle("grid", person.layout > 1 && !settling);
  shown = items.map((item, number) => ({ item, element: figure(item, number), since: performance.now(), done: false }));
  page.pictures.append(...shown.map(each => each.element));
  veil();
  focusOn(0);
  for (const item of hand.slice(items.length)) for (const address of addresses(item)) picture(address).catch(() => {});
  display("desk");
  choices();
}

function display(name) {
  for (const each of ["begin", "desk", "message"]) page[each].hidden = each !== name;
  for (const each of ["undo", "layout", "settle"]) page[each].hidden = !person;
}

function choices() {
  const buttons = setup.labels.map((label, index) =>
    element("button", { type: "button", className: "primary", onclick: () => label_(index) }, label, element("kbd", {}, String(index + 1))));
  if (!settling) buttons.push(element("button", { type: "button", className: "secondary", onclick: skip }, "Skip", element("kbd", {}, "S")));
  page.choices.replaceChildren(...buttons);
}

function message(title, text, buttons) {
  page["message-title"].textContent = title;
  page["message-text"].textContent = text;
  page["message-buttons"].replaceChildren(...buttons.map(([name, action], index) =>
    element("button", { type: "button", className: index ? "" : "primary", onclick: action }, name)));
  hand = [];
  clear();
  display("message");
  page.message.focus();
}

function progress(left) {
  if (!left) return;
  const others = left.others ? `, ${left.others} in others' hands` : "";
  page.progress.textContent = `${left.open.toLocaleString("en")} left${left.skipped ? `, ${left.skipped} skipped` : ""}${others}`;
}

// --- getting pictures ---

async function refill() {
  const count = Math.min(person.layout > 1 ? 2 * person.layout : 1 + AHEAD, 18);
  await working;
  const before = sent.length;
  const found = await ask("next", { count, queue: person.queue, skipped: withSkipped });
  progress(found.left);
  if (found.over) return ended(found.over), false;
  const open = new Set(shown.filter(each => each.done).map(each => each.item.id));
  const known = new Map(hand.map(item => [item.id, item]));
  const meanwhile = new Set(sent.slice(before)); // the answer may not know of these decisions
  hand = [...hand, ...found.items.filter(item => !known.has(item.id) && !open.has(item.id) && !meanwhile.has(item.id))];
  if (!hand.length && found.items.some(item => meanwhile.has(item.id))) return refill();
  for (const item of hand) for (const address of addresses(item)) picture(address).catch(() => {});
  return found;
}

async function fresh() {
  hand = [];
  const found = await refill();
  if (found) hand.length ? show() : nothing(found.left);
}

async function onward() {
  const next = shown.findIndex(each => !each.done);
  if (next >= 0) { focusOn(shown.slice(at).some(each => !each.done) ? at + shown.slice(at).findIndex(each => !each.done) : next); return; }
  if (settling) return working.then(disagreements).catch(trouble); // not before the service knows of the last one
  if (hand.length) show();
  refilling = refill().then(found => {
    if (found && !shown.some(each => !each.done)) hand.length ? show() : nothing(found.left);
  }, trouble);
  await refilling;
}

function nothing(left) {
  const buttons = [];
  if (left.skipped) buttons.push([`Go through the ${left.skipped} skipped`, () => { withSkipped = true; fresh().catch(trouble); }]);
  buttons.push(["Look again", () => fresh().catch(trouble)]);
  const others = left.others ? ` ${left.others} are in others' hands.` : "";
  message("All done here", `There is nothing left to decide for you${person.queue ? " in this queue" : ""}.${others}`, buttons);
}

function ended(text) {
  message("Session over", text, [["Begin a new session", () => begin().catch(trouble)]]);
}

// --- deciding ---

const batch = () => [...crypto.getRandomValues(new Uint8Array(16))].map(byte => byte.toString(16).padStart(2, "0")).join("");

function send(entry, action, label = "") {
  const data = { item: entry.item.id, action, label, note: page.note.value, batch: batch() };
  data.seconds = Math.round(performance.now() - entry.since) / 1000;
  page.note.value = "";
  entry.done = true;
  sent.push(entry.item.id);
  entry.element.classList.add("decided");
  hand = hand.filter(each => each.id !== entry.item.id);
  working = working.then(() => ask("decide", data)).then(found => {
    const also = found.items.length > 1 ? `, with ${found.items.length - 1} that look alike` : "";
    const score = setup.blind && found.score !== null ? `, score ${found.score.toFixed(3)}` : "";
    say(`${entry.item.name}: ${action === "skip" ? "skipped" : label}${score}${also}`);
    hand = hand.filter(each => !found.items.includes(each.id));
  }).catch(trouble);
  return onward();
}

// What is decided while an undo is under way is about the picture that comes back; if none does, it is about nothing.
function inTurn(action) {
  if (undoing) behindUndo(cameBack => { if (cameBack) action(); return cameBack; });
  else action();
}

function behindUndo(step) {
  const failed = error => { trouble(error); return false; };
  const mine = (undoing ?? Promise.resolve(false)).then(step).catch(failed).finally(() => { if (undoing === mine) undoing = null; });
  undoing = mine;
}

const label_ = index => inTurn(() => {
  const entry = shown[at];
  if (entry && !entry.done && index < setup.labels.length) send(entry, settling ? "settle" : "label", setup.labels[index]);
});

const skip = () => inTurn(() => {
  const entry = shown[at];
  if (entry && !entry.done && !settling) send(entry, "skip");
});

const undo = () => behindUndo(undone);

async function undone() {
  await working;
  const found = await ask("undo");
  if (settling) return disagreements().then(() => false); // the one that came back need not be the first of them
  if (!found.items.length) return say("There is nothing left to undo, or somebody else has the picture now."), false;
  const back = new Set(found.items.map(item => item.id));
  hand = [...found.items, ...hand.filter(item => !back.has(item.id))];
  show();
  say("Undone. Decide again.");
  return true;
}

async function disagreements() {
  settling = true;
  const found = await ask("disagreements");
  page.settle.textContent = "Back to the pictures";
  page.progress.textContent = `${found.items.length} disagreements to settle`;
  hand = found.items;
  if (hand.length) show();
  else message("No disagreements", "Wherever two people gave their opinion, they agree, or it is settled.", [["Back to the pictures", back]]);
}

function back() {
  settling = false;
  page.settle.textContent = "Disagreements";
  return fresh().catch(trouble);
}

async function heat() {
  const entry = shown[at];
  if (!entry) return;
  if (!setup.heat_maps) return say("There are no heat maps in this review.");
  const images = [...entry.element.querySelectorAll("img")];
  if (entry.element.classList.toggle("mapped")) {
    const ground = entry.element.classList.contains("shown") || !person.blur ? "grey" : "blurred";
    say("Drawing the heat map ...");
    await Promise.all(images.map(async (image, index) => {
      image.dataset.plain = image.src;
      image.src = await picture(`picture/${entry.item.id}/${index}/${ground}.png`);
    }));
    say("Heat map: orange adds to the score, blue takes from it. H shows the picture again.");
  } else {
    for (const image of images) image.src = image.dataset.plain;
    say("");
  }
}

function trouble(error) {
  say(error.message, true);
  if (error.code === "taken") fresh().catch(() => {});
}

// --- beginning ---

async function begin() {
  person = {
    name: page.name.value, queue: page.queue.value, blur: page.blur.checked, grey: page.grey.checked,
    layout: Number(new FormData(page.begin).get("layout")),
  };
  setup = await ask("begin", { name: person.name });
  settling = withSkipped = false;
  page.settle.textContent = "Disagreements";
  sessionStorage.setItem("person", JSON.stringify(person));
  await fresh();
}

function flip(name) {
  person[name] = !person[name];
  page[name].checked = person[name];
  sessionStorage.setItem("person", JSON.stringify(person));
  veil();
  say(`${name === "blur" ? "Blur" : "Grey"} is ${person[name] ? "on" : "off"}.`);
}

function relayout() {
  person.layout = person.layout > 1 ? 1 : 9;
  page.layout.firstChild.textContent = person.layout > 1 ? "One " : "Grid ";
  sessionStorage.setItem("person", JSON.stringify(person));
  if (!settling) fresh().catch(trouble);
}

function move(by) {
  if (shown.length > 1) focusOn(Math.min(Math.max(at + by, 0), shown.length - 1));
}

const ACTIONS = {
  s: skip, u: undo, Backspace: undo, b: () => flip("blur"), g: () => flip("grey"),
  v: relayout, n: () => page.note.focus(), h: () => heat().catch(trouble),
  ArrowLeft: () => move(-1), ArrowRight: () => move(1), ArrowUp: () => move(-3), ArrowDown: () => move(3),
};

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || page.help.open) return;
  const typing = event.target.matches("input, select, textarea");
  if (typing && event.target === page.note && (event.key === "Enter" || event.key === "Escape")) { page.note.blur(); event.preventDefault(); return; }
  if (typing) return;
  if (event.key === "?") { page.help.showModal(); event.preventDefault(); return; }
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  // Behind the last picture of a queue or a session nothing is left to decide, but something to undo.
  if (page.desk.hidden && (page.undo.hidden || ACTIONS[name] !== undo)) return;
  if (event.key === " " && !event.target.matches("button")) { reveal(at, true); event.preventDefault(); return; }
  if (event.repeat && !name.startsWith("Arrow")) return;
  if (/^[1-9]$/.test(name)) { label_(Number(name) - 1); event.preventDefault(); }
  else if (ACTIONS[name]) { ACTIONS[name](); event.preventDefault(); }
});
document.addEventListener("keyup", event => { if (event.key === " ") shown.forEach((_, number) => reveal(number, false)); });
window.addEventListener("blur", () => shown.forEach((_, number) => reveal(number, false)));

page.begin.addEventListener("submit", event => { event.preventDefault(); begin().catch(trouble); });
page.undo.addEventListener("click", undo);
page.layout.addEventListener("click", relayout);
page.settle.addEventListener("click", () => (settling ? back() : disagreements().catch(trouble)));
page["help-button"].addEventListener("click", () => page.help.showModal());
page.keys.append(...KEYS.flatMap(([key, what]) => [element("dt", {}, element("kbd", {}, key)), element("dd", {}, what)]));

ask("overview").then(found => {
  const minutes = found.minutes.toLocaleString("en");
  page.limits.textContent = `A session ends after ${found.pictures.toLocaleString("en")} pictures or ${minutes} minutes.`;
  for (const option of page.queue.options) {
    const count = option.value ? found.queues[option.value] : Object.values(found.queues).reduce((sum, each) => sum + each);
    option.textContent += ` (${count.toLocaleString("en")})`;
  }
  const kept = JSON.parse(sessionStorage.getItem("person") ?? "null");
  if (kept) {
    page.name.value = kept.name;
    page.queue.value = kept.queue;
    page.blur.checked = kept.blur;
    page.grey.checked = kept.grey;
    page.begin.querySelector(`[value="${kept.layout}"][type=radio]`).checked = true;
  }
  if (kept && found.name) resume(found).catch(trouble); // a page that was loaded again goes on
}, trouble);

async function resume(found) {
  setup = found;
  person = { ...JSON.parse(sessionStorage.getItem("person")) };
  await fresh();
}
