// The page of a trial: every metric's curve, kept up while it trains.

const root = document.getElementById("trial");
const addresses = { charts: root.dataset.charts, drawing: root.dataset.drawing, echarts: root.dataset.echarts };
const base = `/ui/trials/${root.dataset.trial}`;
const [{ Card, data, onColours, paced }, charts] = await Promise.all([import(addresses.drawing), import(addresses.charts)]);
const place = document.getElementById("curves");
const cards = new Map();
let found = { metrics: [], items: [] };
const now = () => document.getElementById("now").dataset;

const made = (metric) => {
  const curve = found.items.find((one) => one.metric === metric) ?? found.items.find((one) => one.metric === `train_${metric}`);
  const last = curve.values.at(-1);
  return { option: charts.metricPair(found, metric, Number(now().best)), label: `${metric.replaceAll("_", " ")} by epoch, ${curve.epochs.length} epochs, ${charts.number(last)} at the last` };
};

const addCard = (metric) => {
  const card = document.createElement("section");
  card.className = "card chart-card";
  const title = document.createElement("h3");
  title.textContent = metric.replaceAll("_", " ");
  const chart = document.createElement("div");
  chart.className = "chart";
  const note = document.createElement("p");
  note.className = "chart-note faint";
  card.append(title, chart, note);
  place.append(card);
  cards.set(metric, new Card(card, addresses, async () => made(metric)));
};

const load = async () => {
  found = await data(`${base}/data/curves`);
  // The objective comes first.
  const metrics = [...new Set([root.dataset.metric, ...found.metrics.map((name) => name.replace(/^train_/, ""))])].filter((name) => found.metrics.some((one) => one === name || one === `train_${name}`));
  if (metrics.length && !cards.size) place.replaceChildren();
  for (const metric of metrics) {
    if (cards.has(metric)) cards.get(metric).changed();
    else addCard(metric);
  }
  root.dataset.ready = "yes";
};

let { state } = now();
const again = paced(() => { if (!document.hidden) load(); }, 700);
document.getElementById("live").addEventListener("htmx:sse:after:message", () => {
  if (now().state !== state) window.htmx.trigger("#actions", "state-changed");
  state = now().state;
  again();
});
onColours(() => cards.forEach((card) => card.changed({ whole: true })));
await load();
