// The page of a study: its board page by page, charts, dialogs, and all of it kept up with the search.

const root = document.getElementById("study");
const addresses = { charts: root.dataset.charts, drawing: root.dataset.drawing, echarts: root.dataset.echarts };
const base = `/ui/studies/${root.dataset.study}`;
const { metric } = root.dataset;
const [{ Card, data, onColours, paced }, charts] = await Promise.all([import(addresses.drawing), import(addresses.charts)]);
const query = (selector) => root.querySelector(selector);

// The board

const asked = new URLSearchParams(location.search);
const choice = {
  sort: asked.get("sort") ?? "rank", order: asked.get("order") ?? "asc", state: asked.get("state") ?? "", kind: asked.get("kind") ?? "",
};
let trail = [asked.get("page_token") ?? ""];

const address = () => {
  const params = new URLSearchParams();
  const token = trail.at(-1);
  for (const [name, value] of Object.entries({ ...choice, page_token: token })) {
    if (value && !(name === "sort" && value === "rank") && !(name === "order" && value === "asc")) params.set(name, value);
  }
  const text = params.toString();
  return text ? `?${text}` : "";
};

let isLoading = false, isWanted = false;
const loadBoard = async () => {
  isWanted = true;
  if (isLoading) return;
  isLoading = true;
  try {
    while (isWanted) {
      isWanted = false;
      await window.htmx.ajax("GET", `${base}/board${address()}`, { target: "#board", swap: "innerMorph" });
      boardShown();
    }
  } finally {
    isLoading = false;
  }
};

const toTop = () => { if (query(".board").getBoundingClientRect().top < 0) query(".board").scrollIntoView(); };
const choose = (changes) => {
  Object.assign(choice, changes);
  trail = [""];
  history.replaceState(null, "", location.pathname + address());
  loadBoard().then(toTop);
};

root.addEventListener("click", (event) => {
  const { target } = event;
  const sort = target.closest?.("button.sort");
  if (sort) {
    // Ranks always rise: the best comes first.
    const isSame = choice.sort === sort.dataset.sort && choice.sort !== "rank";
    const turned = !isSame ? sort.dataset.first : choice.order === "asc" ? "desc" : "asc";
    choose({ sort: sort.dataset.sort, order: turned });
  } else if (target.id === "board-next") {
    trail.push(query("#board-page").dataset.next);
    loadBoard().then(toTop);
  } else if (target.id === "board-back") {
    if (trail.length > 1) trail.pop();
    else trail = [""];
    loadBoard().then(toTop);
  } else if (target.id === "board-first") {
    trail = [""];
    loadBoard().then(toTop);
  }
});
query("#board-state").addEventListener("change", (event) => choose({ state: event.target.value }));
query("#board-kind").addEventListener("change", (event) => choose({ kind: event.target.value }));

// Which columns are shown is remembered for each study

const KEY = `hpsearch.columns.${root.dataset.study}`;
const sheet = new CSSStyleSheet();
document.adoptedStyleSheets.push(sheet);
const boxes = [...root.querySelectorAll("#board-columns input")];
const hide = (names) => sheet.replaceSync(names.map((name) => `#board [data-column="${CSS.escape(name)}"] { display: none; }`).join("\n"));
const kept = (() => {
  try {
    return JSON.parse(localStorage.getItem(KEY));
  } catch {
    return null;
  }
})();
const hidden = new Set(Array.isArray(kept) ? kept : ["state", "duration_s"]);
for (const box of boxes) box.checked = !hidden.has(box.value);
hide([...hidden]);
query("#board-columns").addEventListener("change", () => {
  const names = boxes.filter((box) => !box.checked).map((box) => box.value);
  hide(names);
  try {
    localStorage.setItem(KEY, JSON.stringify(names));
  } catch {
    // A browser that keeps nothing forgets the choice with the page.
  }
});

// Learning curves of the trials that are ticked; until somebody ticks one, of the first rows and what runs now

const MOST = 12;
let picked = null;
const running = () => (query("#now").dataset.running || "").split(",").filter(Boolean);
const rows = () => [...root.querySelectorAll("#board input[name=curve]")];
const numbers = new Map();
const selected = () => picked ?? [...rows().slice(0, 5).map((box) => box.value), ...running().slice(0, 3)].filter((id, i, all) => all.indexOf(id) === i);

function boardShown() {
  const shown = new Set(selected());
  for (const box of rows()) {
    numbers.set(box.value, box.dataset.number);
    box.checked = shown.has(box.value);
  }
  query("#board-back")?.toggleAttribute("disabled", trail.length < 2 && !trail[0]);
  if (!picked) cards.curves?.changed();
}
root.addEventListener("change", (event) => {
  if (event.target.name !== "curve") return;
  const ticked = new Set(selected());
  if (event.target.checked) ticked.add(event.target.value);
  else ticked.delete(event.target.value);
  picked = [...ticked].slice(-MOST);
  boardShown();
  cards.curves.changed({ whole: true });
});

// Charts

const sources = new Map();
const source = (name) => {
  const { version } = query("#now").dataset;
  const known = sources.get(name);
  if (known?.version === version) return known.found;
  const found = data(`${base}/data/${name}`);
  sources.set(name, { version, found });
  found.catch(() => sources.delete(name));
  return found;
};
// Baselines may lie outside the space, so what shows the space leaves them out.
const points = async () => {
  const found = await source("parallel");
  return { ...found, rows: found.rows.filter((row) => row.kind === "search") };
};
const few = (n) => `${n} result${n === 1 ? "" : "s"}`;

const makers = {
  async history(card) {
    const page = await source("history");
    if (!page.items.length) return { note: "No result yet." };
    const last = page.items.at(-1);
    const label = `Best ${metric} after ${few(last.n_results)}: ${charts.number(last.best)}`;
    return { option: charts.history(page, { metric, x: card.option("x") }), label, note: `${label}. Hold Ctrl and turn the wheel to look closer.` };
  },
  async curves(card) {
    const ids = selected().slice(0, MOST);
    if (!ids.length) return { note: rows().length ? "Tick trials on the board to compare how they learned." : "No epoch has been reported yet." };
    const found = await data(`${base}/data/curves?trials=${ids.join(",")}`);
    if (!found.items.length) return { note: "No epoch has been reported yet." };
    const select = card.element.querySelector("select");
    const listed = [...select.options].map((option) => option.value);
    if (found.metrics.some((name) => !listed.includes(name))) {
      const current = select.value || metric;
      select.replaceChildren(...found.metrics.map((name) => new Option(name.replaceAll("_", " "), name, false, name === current)));
    }
    for (const box of root.querySelectorAll("#live .running-list a")) {
      const match = /(\d+)$/.exec(box.textContent);
      if (match) numbers.set(box.getAttribute("href").slice(11), match[1]);
    }
    const names = Object.fromEntries(ids.map((id) => [id, `trial ${numbers.get(id) ?? id.slice(-6)}`]));
    const label = `${select.value.replaceAll("_", " ")} by epoch of ${ids.length} trials`;
    return { option: charts.curves(found, { metric: select.value, names }), label, note: "Tick trials on the board to compare others." };
  },
  async parallel() {
    const found = await points();
    if (!found.rows.length) return { note: "No result yet." };
    return { option: charts.parallel(found), width: 70 * (found.columns.length + 1), label: `Parallel coordinates of ${found.sample}`, note: `Shown: ${found.sample}. The brighter a line, the better its ${metric}; the thick one is the best.` };
  },
  async importances() {
    const found = await source("importances");
    if (!found.items.length) return { note: `${found.reason[0].toUpperCase()}${found.reason.slice(1)}.` };
    const label = found.items.map((item) => `${item.name} ${Math.round(100 * item.share)} %`).join(", ");
    return { option: charts.importances(found), label, height: Math.max(120, 34 * found.items.length + 20), note: `What set the best results apart, from ${few(found.n_used)} (PED-ANOVA)${found.n_used < 50 ? "; a first impression, it takes about 50 to be sure" : ""}.` };
  },
  async slice(card) {
    const found = await points();
    if (!found.rows.length || !found.columns.length) return { note: "No result yet." };
    const x = card.option("x");
    return { option: charts.slice(found, { x }), label: `${metric} by ${x}`, note: `${metric.replaceAll("_", " ")} against ${x}; the stronger a dot, the later its trial, the diamond is the best.` };
  },
  async contour(card) {
    const found = await points();
    const [x, y] = [card.option("x"), card.option("y")];
    if (found.columns.length < 2) return { note: "It takes two searched parameters." };
    if (found.rows.length < 3) return { note: "Too few results yet." };
    if (x === y) return { note: "Choose two different parameters." };
    return { option: charts.contour(found, { x, y }), label: `${metric} over ${x} and ${y}`, note: `The brighter, the better the ${metric.replaceAll("_", " ")} near that point; the diamond is the best.` };
  },
  async timeline() {
    const found = await data(`${base}/data/timeline`);
    if (!found.items.length) return { note: "No trial has begun yet." };
    const workers = new Set(found.items.map((item) => item.worker_id)).size;
    const shown = new Set(found.items.map((item) => item.trial_id)).size;
    const label = `${shown} trials on ${workers} worker${workers === 1 ? "" : "s"}`;
    return { option: charts.timeline(found), label, height: Math.min(900, Math.max(200, 90 + 46 * workers)), note: shown < found.n_trials ? `The newest ${shown} of ${found.n_trials} trials.` : "" };
  },
};
const cards = Object.fromEntries([...root.querySelectorAll("[data-chart]")].map((element) => [
  element.dataset.chart, new Card(element, addresses, makers[element.dataset.chart]),
]));
onColours(() => Object.values(cards).forEach((card) => card.changed({ whole: true })));

// Keeping up with the search

let seen = { ...query("#now").dataset };
const board = paced(() => { if (!document.hidden) loadBoard(); }, 400);
// The version counts changes: what is drawn from very many results is fetched anew less often.
const slow = () => (Number(seen.version) > 20_000 ? 10_000 : 2_000);
const results = paced(() => ["history", "parallel", "importances", "slice", "contour", "timeline"].forEach((name) => cards[name].changed()), slow);
const epochs = paced(() => cards.curves.changed(), 1_000);
const look = () => {
  const now = { ...query("#now").dataset };
  if (now.state !== seen.state) window.htmx.trigger("#actions", "state-changed");
  if (now.version !== seen.version || now.running !== seen.running) {
    board();
    results();
  }
  if (running().some((id) => selected().includes(id))) epochs();
  seen = now;
};
query("#live").addEventListener("htmx:sse:after:message", look);
document.addEventListener("visibilitychange", () => { if (!document.hidden) { board(); results(); } });

// Dialogs and menus

root.addEventListener("click", (event) => {
  const opener = event.target.closest?.("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens).showModal();
  if (event.target.closest?.("[data-closes]")) event.target.closest("dialog").close();
});
root.addEventListener("submit", async (event) => {
  const dialog = event.target.closest("dialog");
  if (!dialog) return;
  event.preventDefault();
  const complaint = dialog.querySelector(".complaint");
  const button = dialog.querySelector("button[type=submit]");
  complaint.hidden = true;
  button.disabled = true;
  try {
    const answer = await fetch(event.target.action, {
      method: "POST", body: new URLSearchParams(new FormData(event.target)), headers: { Accept: "application/json" }, referrerPolicy: "same-origin",
    });
    const told = await answer.json();
    if (!answer.ok) throw new Error(`${told.detail[0].toUpperCase()}${told.detail.slice(1)}.`);
    dialog.close();
    if (told.address) location.assign(told.address);
    else window.hpsearch.say(told.text, "good");
    window.htmx.trigger("#actions", "state-changed");
  } catch (error) {
    complaint.textContent = error instanceof TypeError ? "The server did not answer; try again." : error.message;
    complaint.hidden = false;
  } finally {
    button.disabled = false;
  }
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

boardShown();
performance.mark("hpsearch:ready");
root.dataset.ready = "yes";
