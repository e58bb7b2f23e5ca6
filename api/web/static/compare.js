// Trials side by side: their curves, lines that are the same for all, and a link to share.

const root = document.getElementById("compare");
const addresses = { ...root.dataset };
const [{ Card, data, onColours }, charts] = await Promise.all([import(addresses.drawing), import(addresses.charts)]);
const ids = addresses.trials.split(",").filter(Boolean), numbers = addresses.numbers.split(",");
const names = Object.fromEntries(ids.map((id, i) => [id, `trial ${numbers[i]}`]));

for (const element of root.querySelectorAll("[data-chart=curves]")) {
  const card = new Card(element, addresses, async () => {
    const found = await data(`/ui/studies/${addresses.study}/data/curves?trials=${ids.join(",")}`);
    if (!found.items.length) return { note: "No epoch has been reported." };
    const select = charts.offer(element.querySelector("select"), found.metrics, addresses.metric);
    return { option: charts.curves(found, { metric: select.value, names }), label: `${select.value.replaceAll("_", " ")} by epoch of ${ids.length} trials` };
  });
  onColours(() => card.changed({ whole: true }));
}

document.getElementById("only-differences").addEventListener("change", (event) => {
  root.querySelector("table.compare")?.classList.toggle("differences", event.target.checked);
});
document.getElementById("copy-link").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(location.href);
    window.hpsearch.say("Link copied. It opens for everybody who may sign in here.", "good");
  } catch {
    // Browsers give the clipboard to pages over HTTPS and on this machine only.
    window.hpsearch.say(`Copy it from the address bar: ${location.href}`, "warning");
  }
});
root.dataset.ready = "yes";
