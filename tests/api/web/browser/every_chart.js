// Draws every kind of chart from `n` points, of whose values every third is one of `odd`; returns what failed.
// The server sends null for what is not finite, but a chart must not rely on it.
async ([n, odd]) => {
  const {charts: chartsAt, space: spaceAt, echarts: echartsAt} = document.getElementById("study").dataset;
  const [basics, {spaceCharts}, {init}] = await Promise.all([import(chartsAt), import(spaceAt), import(echartsAt)]);
  const charts = {...basics, ...spaceCharts(basics)};
  const value = (i) => (odd && i % 3 === 0 ? odd[i % odd.length] : Math.sin(i) + 2);
  const each = (make) => Array.from({length: n}, (_, i) => make(i));
  const at = (i) => new Date(1.7e12 + 1000 * i).toISOString();
  const columns = [
    {name: "x", kind: "number", log: false, integer: false, low: 0, high: 1}, {name: "y", kind: "number", log: true, integer: false, low: 0.001, high: 1},
    {name: "k", kind: "choice", choices: ["a", "b", true]}, {name: "n", kind: "number", log: false, integer: true, low: 1, high: 4},
  ];
  const rows = each((i) => ({
    trial_id: `t${i}`, number: i, rank: i + 1, kind: "search", value: value(i), values: [(i % 97) / 97, 0.001 + (i % 89) / 90, i % 5 ? "a" : null, 1 + (i % 4)],
  }));
  const points = {columns, rows, metric: "accuracy", direction: "maximize", sample: "all"};
  const epochs = each((i) => i + 1), values = each(value);
  const found = {metrics: ["loss"], items: [{trial_id: "t0", metric: "loss", epochs, values}, {trial_id: "t0", metric: "train_loss", epochs, values}]};
  const options = {
    history: () => charts.history({items: each((i) => ({n_results: i + 1, number: i, trial_id: `t${i}`, kind: "search", value: value(i), best: value(i), at: at(i), device_seconds: i}))}, {metric: "accuracy", x: "n"}),
    edf: () => charts.edf({items: each((i) => ({kind: i % 5 ? "search" : "baseline", value: value(i)}))}, {metric: "accuracy"}),
    curves: () => charts.curves(found, {metric: "loss", names: {t0: "trial 0"}}),
    pair: () => charts.metricPair(found, "loss", 3),
    parallel: () => charts.parallel(points),
    slice: () => charts.slice(points, {x: "x"}), sliceLog: () => charts.slice(points, {x: "y"}), sliceChoice: () => charts.slice(points, {x: "k"}),
    contour: () => charts.contour(points, {x: "x", y: "y"}), contourChoice: () => charts.contour(points, {x: "k", y: "n"}),
    importances: () => charts.importances({items: columns.map((column, i) => ({name: column.name, share: odd ? odd[i % odd.length] : 0.25, n_results: n}))}),
    timeline: () => charts.timeline({items: each((i) => ({worker_id: `w${i % 7}`, worker_name: `w${i % 7}`, trial_id: `t${i}`, number: i, kind: "search", attempt: 1, state: "COMPLETE", started_at: at(i), ended_at: i % 5 ? at(i + 3) : null}))}),
  };
  const failed = [];
  for (const [name, make] of Object.entries(options)) {
    const place = document.createElement("div");
    Object.assign(place.style, {width: "600px", height: "300px"});
    document.body.append(place);
    const began = performance.now();
    try {
      const chart = init(place, null, {renderer: "canvas"});
      chart.setOption(make());
      chart.getZr().flush();
      if (!place.querySelector("canvas")) failed.push(`${name}: nothing drawn`);
      chart.dispose();
    } catch (error) {
      failed.push(`${name}: ${error.stack}`);
    }
    place.remove();
    const took = performance.now() - began;
    if (took > 15_000) failed.push(`${name}: took ${took} ms`);
  }
  return failed;
}
