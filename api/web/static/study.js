// The page of a study: its board, its charts, and both kept up with the search.

const root = document.getElementById("study");
const addresses = { ...root.dataset };
const base = `/ui/studies/${root.dataset.study}`;
const { metric } = root.dataset;
const spoken = metric.replaceAll("_", " ");
const [{ Card, data, onColours, paced }, basics, { spaceCharts }, { boardOf, conditions }, { dialogsOf }] = await Promise.all(
  [addresses.drawing, addresses.charts, addresses.space, addresses.board, addresses.dialogs].map((address) => import(address)));
const charts = { ...basics, ...spaceCharts(basics) };
const query = (selector) => root.querySelector(selector);
const running = () => (query("#now").dataset.running || "").split(",").filter(Boolean);
const board = boardOf(root, base, running);
dialogsOf(root);

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
const none = () => (/^(COMPLETED|CANCELLED|FAILED)$/.test(query("#now").dataset.state) ? "No results." : "No results yet.");
const few = (n) => `${charts.number(n)} result${n === 1 ? "" : "s"}`;

// Charts of one or two parameters open on the most important ones, until somebody chooses others.
const byImportance = async (card) => {
  const found = await source("importances").catch(() => ({ items: [] }));
  const selects = [...card.element.querySelectorAll("select[data-option]")];
  if (card.isChosen || found.items.length < selects.length) return;
  const before = selects.map((select) => select.value).join();
  // What only few results have shows little, however important.
  const isFrequent = (item) => 2 * item.n_results >= found.n_used;
  const items = [...found.items.filter(isFrequent), ...found.items.filter((item) => !isFrequent(item))];
  selects.forEach((select, i) => { select.value = items[i].name; });
  if (selects.map((select) => select.value).join() !== before) card.changed({ whole: true });
};

const makers = {
  async history(card) {
    const page = await source("history");
    if (!page.items.length) return { note: none() };
    const last = page.items.at(-1);
    const label = `Best ${spoken} after ${few(last.n_results)}: ${charts.number(last.best)}`;
    return { option: charts.history(page, { metric: spoken, x: card.option("x") }), label, note: `${label}. Hold Ctrl and turn the wheel to zoom.` };
  },
  async curves(card) {
    const ids = board.selected();
    if (!ids.length) return { note: board.hasRows() ? "Select trials on the board to compare how they learned." : "No epoch has been reported yet." };
    const found = await data(`${base}/data/curves?trials=${ids.join(",")}`);
    if (!found.items.length) return { note: "No epoch has been reported yet." };
    const select = charts.offer(card.element.querySelector("select"), found.metrics, metric);
    for (const link of root.querySelectorAll("#live .running-list a")) {
      const match = /(\d+)$/.exec(link.textContent);
      if (match) board.numbers.set(link.getAttribute("href").slice(11), match[1]);
    }
    const names = Object.fromEntries(ids.map((id) => [id, `trial ${board.numbers.get(id) ?? id.slice(-6)}`]));
    const label = `${select.value.replaceAll("_", " ")} by epoch of ${ids.length} trials`;
    return { option: charts.curves(found, { metric: select.value, names }), label, note: "Select trials on the board to compare others." };
  },
  async parallel() {
    const found = await points();
    if (!found.rows.length) return { note: none() };
    const { where } = board.choice;
    const told = where ? `Selected: ${where}. The board shows the trials that match.` : `Shown: ${found.sample}.`;
    return {
      option: charts.parallel(found), width: 84 * (found.columns.length + 1), label: `Parallel coordinates of ${found.sample}`,
      selection: charts.selectionOf(found, conditions(where)),
      note: `${told} The brighter a line, the better its ${spoken}; the thick one is the best.`,
    };
  },
  async importances() {
    const found = await source("importances");
    if (!found.items.length) return { note: window.hpsearch.sentence(found.reason) };
    const label = found.items.map((item) => `${item.name} ${Math.round(100 * item.share)} %`).join(", ");
    return { option: charts.importances(found), label, height: Math.max(120, 34 * found.items.length + 20), note: `What set the best results apart, from ${few(found.n_used)} (PED-ANOVA)${found.n_used < 50 ? "; a first impression, it takes about 50 to be sure" : ""}.` };
  },
  async slice(card) {
    byImportance(card);
    const found = await points();
    if (!found.rows.length || !found.columns.length) return { note: none() };
    const x = card.option("x");
    return { option: charts.slice(found, { x }), label: `${spoken} by ${x}`, note: `${spoken} against ${x}. The stronger a dot, the later its trial; the diamond is the best.` };
  },
  async contour(card) {
    byImportance(card);
    const found = await points();
    const [x, y] = [card.option("x"), card.option("y")];
    if (found.columns.length < 2) return { note: "It takes two searched parameters." };
    if (found.rows.length < 3) return { note: "Too few results yet." };
    if (x === y) return { note: "Choose two different parameters." };
    return { option: charts.contour(found, { x, y }), label: `${spoken} over ${x} and ${y}`, note: `The brighter, the better the ${spoken} near that point; the diamond is the best.` };
  },
  async edf() {
    const page = await source("history");
    if (page.items.length < 2) return { note: "Too few results yet." };
    const { n_results: all } = page.items.at(-1);
    const sample = page.items.length < all ? ` (drawn from ${charts.number(page.items.length)} of them)` : "";
    return { option: charts.edf(page, { metric: spoken }), label: `Distribution of ${spoken} over ${few(all)}`, note: `Which share of ${few(all)} has at most a value${sample}.` };
  },
  async timeline() {
    const found = await data(`${base}/data/timeline`);
    if (!found.items.length) return { note: "No trial has started yet." };
    const workers = new Set(found.items.map((item) => item.worker_id)).size;
    const shown = new Set(found.items.map((item) => item.trial_id)).size;
    const label = `${shown} trials on ${workers} worker${workers === 1 ? "" : "s"}`;
    return { option: charts.timeline(found), label, height: Math.min(900, Math.max(200, 90 + 46 * workers)), note: shown < found.n_trials ? `The newest ${charts.number(shown)} of ${charts.number(found.n_trials)} trials.` : "" };
  },
};
const cards = Object.fromEntries([...root.querySelectorAll("[data-chart]")].map((element) => [
  element.dataset.chart, new Card(element, addresses, makers[element.dataset.chart]),
]));
onColours(() => Object.values(cards).forEach((card) => card.changed({ whole: true })));

// What is selected along an axis filters the board, and the other way round.
const filtered = () => {
  query("#clear-selection").hidden = !board.choice.where;
  cards.parallel.changed();
};
cards.parallel.onSelect = async (intervals) => {
  const found = await points();
  const rest = conditions(board.choice.where).filter(({ name }) => !(name in intervals)).map(({ part }) => part);
  const where = [...rest, ...charts.conditionsOf(found, intervals)].join(", ");
  if (where !== board.choice.where) board.choose({ where }, { stay: true });
};
board.on("filtered", filtered);
board.on("picked", () => cards.curves.changed({ whole: true }));
board.on("shown", () => { if (!board.isPicked()) cards.curves.changed(); });
if (board.choice.where) filtered();

// Keeping up with the search

let seen = { ...query("#now").dataset };
const loadBoard = paced(() => { if (!document.hidden) board.load(); }, 400);
// The version counts changes: what is drawn from very many results is fetched anew less often.
const slow = () => (Number(seen.version) > 20_000 ? 10_000 : 2_000);
const results = paced(() => Object.entries(cards).forEach(([name, card]) => { if (name !== "curves") card.changed(); }), slow);
const epochs = paced(() => cards.curves.changed(), 1_000);
const look = () => {
  const now = { ...query("#now").dataset };
  if (now.state !== seen.state) ["#actions", "#evaluation"].forEach((place) => window.htmx.trigger(place, "state-changed"));
  if (now.version !== seen.version || now.running !== seen.running) {
    loadBoard();
    results();
  }
  if (running().some((id) => board.selected().includes(id))) epochs();
  seen = now;
};
query("#live").addEventListener("htmx:sse:after:message", look);
document.addEventListener("visibilitychange", () => { if (!document.hidden) { loadBoard(); results(); } });

board.shown();
performance.mark("hpsearch:ready");
root.dataset.ready = "yes";
