// How the page draws: one function for each kind of chart, from data of the server to options of the chart library.
// Text in charts is drawn on a canvas, never put into the page, so names of users stay text.

export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export const palette = () => ({
  text: css("--text"),
  muted: css("--muted"),
  line: css("--line"),
  surface: css("--surface"),
  soft: css("--surface-2"),
  series: [1, 2, 3, 4, 5, 6, 7, 8].map((i) => css(`--series-${i}`)),
  states: {
    COMPLETE: css("--series-3"), RUNNING: css("--series-1"), PRUNED: css("--series-5"), INFEASIBLE: css("--series-4"),
    FAILED: css("--series-2"), CANCELLED: css("--series-7"), LOST: css("--series-2"), RELEASED: css("--series-7"),
  },
});

const grouped = (text) => text.replace(/^(-?\d+)/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ","));

export const number = (value) => {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return grouped(String(value));
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2).replace(/\.?0+e/, "e");
  return grouped(String(Number(value.toPrecision(4))));
};

// Fills a list of metrics that begins with the study's own, once; what was chosen stays chosen.
export const offer = (select, metrics, first) => {
  const listed = [...select.options].map((option) => option.value);
  if (metrics.some((name) => !listed.includes(name))) {
    const current = select.value || first;
    select.replaceChildren(...metrics.map((name) => new Option(name.replaceAll("_", " "), name, false, name === current)));
  }
  return select;
};

export const axis = (colors, more) => ({
  axisLine: { lineStyle: { color: colors.line } },
  axisTick: { lineStyle: { color: colors.line } },
  axisLabel: { color: colors.muted, hideOverlap: true, formatter: more?.type === "time" || more?.data ? undefined : number },
  nameTextStyle: { color: colors.muted },
  splitLine: { lineStyle: { color: colors.line, opacity: 0.6 } },
  nameLocation: "middle",
  nameGap: 28,
  ...more,
});

export const frame = (colors, more) => ({
  animation: false,
  textStyle: { color: colors.text, fontFamily: getComputedStyle(document.body).fontFamily },
  grid: { left: 12, right: 18, top: 14, bottom: 14, containLabel: true },
  tooltip: {
    trigger: "item", renderMode: "richText", confine: true, backgroundColor: colors.surface, borderColor: colors.line,
    textStyle: { color: colors.text, fontSize: 13 },
  },
  ...more,
});

const spelled = (value) => (typeof value === "number" ? number(value) : value === null ? "not active" : String(value));

export const trialText = (row, columns) =>
  [`trial ${row.number}, rank ${row.rank}`, `value ${number(row.value)}`,
    ...columns.map((column, i) => `${column.name}: ${spelled(row.values[i])}`)].join("\n");

export const history = (page, { metric, x }) => {
  const colors = palette();
  const at = (point) => (x === "time" ? new Date(point.at).getTime() : x === "cost" ? point.device_seconds : point.n_results);
  const names = { n: "results", time: "", cost: "device seconds" };
  const results = page.items.map((point) => ({
    value: [at(point), point.value], trial: point.trial_id,
    symbol: point.kind === "baseline" ? "diamond" : "circle", symbolSize: point.kind === "baseline" ? 9 : 5,
    text: `trial ${point.number}${point.kind === "baseline" ? ", baseline" : ""}\n${metric} ${number(point.value)}`,
  }));
  const best = page.items.map((point) => [at(point), point.best]);
  return frame(colors, {
    grid: { left: 12, right: 18, top: 34, bottom: 26, containLabel: true },
    legend: { top: 0, left: 0, textStyle: { color: colors.text }, data: ["best so far", "each result"], itemWidth: 18, itemHeight: 9 },
    dataZoom: [{ type: "inside", zoomOnMouseWheel: "ctrl", moveOnMouseWheel: false }],
    xAxis: axis(colors, { type: x === "time" ? "time" : "value", name: names[x], min: x === "n" ? 1 : undefined, max: x === "time" ? undefined : "dataMax", minInterval: x === "n" ? 1 : undefined, splitLine: { show: false } }),
    yAxis: axis(colors, { type: "value", scale: true, name: undefined }),
    series: [
      { name: "each result", type: "scatter", data: results, large: results.length > 3000, itemStyle: { color: colors.series[6], opacity: 0.55 }, tooltip: { formatter: (one) => one.data.text ?? "" } },
      { name: "best so far", type: "line", step: "end", data: best, showSymbol: best.length < 2, symbolSize: 6, lineStyle: { width: 2.5, color: colors.series[0] }, itemStyle: { color: colors.series[0] }, tooltip: { show: false }, silent: true, z: 3 },
    ],
  });
};

const DASHES = ["solid", "dashed", "dotted"];

export const curves = (data, { metric, names }) => {
  const colors = palette();
  const wanted = data.items.filter((curve) => curve.metric === metric);
  const ids = Object.keys(names);
  return frame(colors, {
    grid: { left: 12, right: 18, top: wanted.length > 6 ? 58 : 34, bottom: 26, containLabel: true },
    legend: { type: "plain", top: 0, left: 0, textStyle: { color: colors.text }, itemWidth: 22, itemHeight: 9 },
    xAxis: axis(colors, { type: "value", name: "epoch", min: 1, max: "dataMax", minInterval: 1, splitLine: { show: false } }),
    yAxis: axis(colors, { type: "value", scale: true }),
    series: wanted.map((curve) => {
      const place = Math.max(0, ids.indexOf(curve.trial_id));
      const color = colors.series[place % 8];
      return {
        name: names[curve.trial_id] ?? curve.trial_id, type: "line", data: curve.epochs.map((epoch, i) => [epoch, curve.values[i]]),
        showSymbol: curve.epochs.length < 3, symbolSize: 6, connectNulls: false, sampling: "lttb",
        lineStyle: { width: 2, color, type: DASHES[Math.floor(place / 8) % 3] }, itemStyle: { color },
        tooltip: { formatter: (one) => `${one.seriesName}\nepoch ${one.value[0]}: ${number(one.value[1])}` },
        triggerLineEvent: true,
      };
    }),
  });
};

// Metrics of one trial: the training split dashed beside the validation split, a diamond where the kept weights are from.
export const metricPair = (data, metric, bestEpoch) => {
  const colors = palette();
  const lines = [[metric, metric === "learning_rate" ? "learning rate" : "validation", colors.series[0], "solid"], [`train_${metric}`, "training", colors.series[1], "dashed"]];
  const series = lines.flatMap(([name, label, color, type]) =>
    data.items.filter((curve) => curve.metric === name).map((curve) => ({
      name: label, type: "line", data: curve.epochs.map((epoch, i) => [epoch, curve.values[i]]),
      showSymbol: curve.epochs.length < 3, symbolSize: 6, lineStyle: { width: 2, color, type }, itemStyle: { color },
      tooltip: { formatter: (one) => `${label}\nepoch ${one.value[0]}: ${number(one.value[1])}` }, triggerLineEvent: true,
    })));
  const best = data.items.find((curve) => curve.metric === metric);
  const value = best?.values[best.epochs.indexOf(bestEpoch)];
  if (Number.isFinite(value)) {
    series.push({
      name: "best epoch", type: "scatter", symbol: "diamond", symbolSize: 12, z: 5, data: [[bestEpoch, value]], itemStyle: { color: colors.series[2], borderColor: colors.surface, borderWidth: 1 },
      tooltip: { formatter: () => `best epoch ${bestEpoch}: ${number(value)}` },
    });
  }
  return frame(colors, {
    grid: { left: 12, right: 18, top: series.length > 1 ? 34 : 14, bottom: 26, containLabel: true },
    legend: { top: 0, left: 0, textStyle: { color: colors.text }, itemWidth: 22, itemHeight: 9, show: series.length > 1 },
    xAxis: axis(colors, { type: "value", name: "epoch", min: 1, max: "dataMax", minInterval: 1, splitLine: { show: false } }),
    yAxis: axis(colors, { type: "value", scale: true }),
    series,
  });
};

export const importances = (data) => {
  const colors = palette();
  const items = [...data.items].reverse();
  return frame(colors, {
    grid: { left: 12, right: 50, top: 6, bottom: 6, containLabel: true },
    xAxis: axis(colors, { type: "value", max: (range) => Math.max(0.1, range.max), axisLabel: { show: false }, splitLine: { show: false } }),
    yAxis: axis(colors, { type: "category", data: items.map((item) => item.name), axisLabel: { color: colors.text } }),
    series: [{
      type: "bar", barMaxWidth: 22, itemStyle: { color: colors.series[0], borderRadius: [0, 3, 3, 0] },
      data: items.map((item) => ({ value: item.share, text: `${item.name}: ${(100 * item.share).toFixed(1)} %\nactive in ${item.n_results} results` })),
      label: { show: true, position: "right", color: colors.text, formatter: (one) => `${(100 * one.value).toFixed(0)} %` },
      tooltip: { formatter: (one) => one.data.text },
    }],
  });
};

// The empirical distribution of the values: which share of the results has at most a value.
export const edf = (page, { metric }) => {
  const colors = palette();
  const of = (kind) => page.items.filter((point) => (point.kind === "baseline") === (kind === "baseline") && Number.isFinite(point.value)).map((point) => point.value).sort((a, b) => a - b);
  const values = of("search"), baselines = of("baseline");
  // How many values are at most this one, by halving.
  const atMost = (value) => {
    let low = 0, high = values.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (values[middle] <= value) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const steps = values.map((value, i) => [value, (i + 1) / values.length]);
  return frame(colors, {
    grid: { left: 12, right: 24, top: 14, bottom: 26, containLabel: true },
    xAxis: axis(colors, { type: "value", scale: true, name: metric, splitLine: { show: false } }),
    yAxis: axis(colors, { type: "value", min: 0, max: 1, axisLabel: { color: colors.muted, formatter: (share) => `${Math.round(100 * share)} %` } }),
    series: [{
      type: "line", step: "end", data: values.length ? [[values[0], 0], ...steps] : [], showSymbol: false, sampling: "minmax", lineStyle: { width: 2.5, color: colors.series[0] }, itemStyle: { color: colors.series[0] },
      triggerLineEvent: true, tooltip: { formatter: (one) => (Array.isArray(one.value) ? `${Math.round(100 * one.value[1])} % have at most ${number(one.value[0])}` : "") },
    }, {
      type: "scatter", symbol: "diamond", symbolSize: 11, data: baselines.map((value) => [value, atMost(value) / Math.max(1, values.length)]),
      itemStyle: { color: colors.series[6], borderColor: colors.surface, borderWidth: 1 }, tooltip: { formatter: (one) => `baseline ${number(one.value[0])}: ${Math.round(100 * one.value[1])} % of the search trials have at most that` },
    }],
  });
};

export const timeline = (data) => {
  const colors = palette();
  const workers = [...new Map(data.items.map((item) => [item.worker_id, item.worker_name])).entries()];
  const place = new Map(workers.map(([id], i) => [id, i]));
  const now = Date.now();
  // Attempts of one worker at the same time lie side by side in its lane.
  const lanes = new Map();
  const bars = data.items.map((item) => {
    const from = new Date(item.started_at).getTime();
    const to = item.ended_at ? new Date(item.ended_at).getTime() : now;
    const ends = lanes.get(item.worker_id) ?? lanes.set(item.worker_id, []).get(item.worker_id);
    let lane = ends.findIndex((end) => end <= from);
    if (lane < 0) lane = ends.length;
    ends[lane] = to;
    const state = item.state ?? "RUNNING";
    return {
      value: [from, to, place.get(item.worker_id), lane], trial: item.trial_id, state,
      text: `trial ${item.number}${item.kind === "search" ? "" : `, ${item.kind}`}${item.attempt > 1 ? `, attempt ${item.attempt}` : ""}\n` +
        `${state.toLowerCase()}${item.cause ? `, ${item.cause.replaceAll("_", " ")}` : ""}, ${number((to - from) / 1000)} s\n${item.worker_name}`,
    };
  });
  const states = [...new Set(bars.map((bar) => bar.state))];
  const draw = (id) => (params, api) => {
    const n = Math.max(1, lanes.get(workers[api.value(2)][0]).length);
    const start = api.coord([api.value(0), api.value(2)]), end = api.coord([api.value(1), api.value(2)]);
    const height = Math.min(30 * n, api.size([0, 1])[1] * 0.8);
    const each = height / n;
    return {
      type: "rect",
      shape: { x: start[0], y: start[1] - height / 2 + api.value(3) * each, width: Math.max(1.5, end[0] - start[0] - 0.5), height: Math.max(1, each - (each > 3 ? 1 : 0)) },
      style: { fill: colors.states[id] ?? colors.series[6] },
    };
  };
  return frame(colors, {
    grid: { left: 12, right: 18, top: 34, bottom: 10, containLabel: true },
    legend: { top: 0, left: 0, textStyle: { color: colors.text }, itemWidth: 14, itemHeight: 10, data: states.map((state) => ({ name: state.toLowerCase(), itemStyle: { color: colors.states[state] ?? colors.series[6] } })) },
    dataZoom: [{ type: "inside", zoomOnMouseWheel: "ctrl", moveOnMouseWheel: false }],
    xAxis: axis(colors, { type: "time", splitLine: { show: false } }),
    yAxis: axis(colors, { type: "category", data: workers.map(([, name]) => name), axisLabel: { color: colors.text, width: 140, overflow: "truncate" }, splitLine: { show: false } }),
    series: states.map((state) => ({
      name: state.toLowerCase(), type: "custom", renderItem: draw(state), encode: { x: [0, 1], y: 2 }, itemStyle: { color: colors.states[state] ?? colors.series[6] },
      data: bars.filter((bar) => bar.state === state), clip: true, progressive: 0,
      tooltip: { formatter: (one) => one.data.text },
    })),
  });
};
