// How the page draws: one function for each kind of chart, from data of the server to options of the chart library.
// Text in charts is drawn on a canvas, never put into the page, so names of users stay text.

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

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

// From poor to good, told apart by lightness alone as well (viridis-like, ends lighter in the dark).
const SCALE = ["#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"];

export const number = (value) => {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return String(value);
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
};

const axis = (colors, more) => ({
  axisLine: { lineStyle: { color: colors.line } },
  axisTick: { lineStyle: { color: colors.line } },
  axisLabel: { color: colors.muted, hideOverlap: true, formatter: more?.type === "time" || more?.data ? undefined : number },
  nameTextStyle: { color: colors.muted },
  splitLine: { lineStyle: { color: colors.line, opacity: 0.6 } },
  nameLocation: "middle",
  nameGap: 28,
  ...more,
});

const frame = (colors, more) => ({
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

// A value that is none has no place on an axis and no colour.
const ranked = (data) => data.rows.filter((row) => Number.isFinite(row.value));

// Values as the scale of colours wants them: 0 the poorest shown, 1 the best; the worst tenth shares one colour.
const goodness = (data) => {
  const sorted = data.rows.map((row) => row.value).filter(Number.isFinite).sort((a, b) => a - b);
  if (!sorted.length) return () => 0.5;
  const maximize = data.direction === "maximize";
  const low = sorted[Math.floor(sorted.length * (maximize ? 0.1 : 0))];
  const high = sorted[Math.max(0, Math.ceil(sorted.length * (maximize ? 1 : 0.9)) - 1)];
  const span = high - low || 1;
  return (value) => {
    const share = Math.min(1, Math.max(0, (value - low) / span));
    return maximize ? share : 1 - share;
  };
};

const blend = (share) => {
  const place = Math.min(0.9999, Math.max(0, share)) * (SCALE.length - 1);
  const i = Math.floor(place), t = place - i;
  const part = (color, from) => parseInt(color.slice(from, from + 2), 16);
  const mixed = [1, 3, 5].map((from) => Math.round(part(SCALE[i], from) * (1 - t) + part(SCALE[i + 1], from) * t));
  return `rgb(${mixed.join(",")})`;
};
const dark = () => {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(css("--surface").slice(i, i + 2), 16));
  return r + g + b < 384;
};
// The darkest end of the scale would vanish on a dark page, the lightest on a light one.
const visible = (share) => blend(dark() ? 0.25 + 0.75 * share : 0.88 * share);

export const parallel = (data) => {
  const colors = palette();
  const columns = [...data.columns, { name: data.metric, kind: "number", log: false }];
  const good = goodness(data);
  const rows = ranked(data).reverse();  // the best are drawn last, on top
  return frame(colors, {
    parallel: { left: 46, right: 62, top: 44, bottom: 20, axisExpandable: false, parallelAxisDefault: { nameLocation: "end", nameGap: 16 } },
    parallelAxis: columns.map((column, dim) => ({
      dim, name: column.name, nameTextStyle: { color: colors.text, fontSize: 12, width: 110, overflow: "truncate" },
      ...(column.kind === "choice"
        ? { type: "category", data: column.choices.map(String) }
        : { type: column.log ? "log" : "value", minInterval: column.integer ? 1 : undefined, min: column.low ?? "dataMin", max: column.high ?? "dataMax", scale: true }),
      axisLine: { lineStyle: { color: colors.muted } }, axisTick: { lineStyle: { color: colors.muted } },
      axisLabel: { color: colors.muted, formatter: column.kind === "choice" ? undefined : number, hideOverlap: true, textBorderColor: colors.surface, textBorderWidth: 3 },
      areaSelectStyle: { width: 16, color: colors.series[0], opacity: 0.3, borderColor: colors.series[0] },
    })),
    series: [{
      type: "parallel", progressive: 500, lineStyle: { width: 1.2, opacity: rows.length > 300 ? 0.3 : 0.55 },
      inactiveOpacity: 0.03, activeOpacity: 0.8, tooltip: { show: false },
      data: rows.map((row) => ({
        value: [...row.values.map((value, i) => (value === null ? "-" : columns[i].kind === "choice" ? String(value) : value)), row.value],
        lineStyle: { color: visible(good(row.value)), ...(row.rank === 1 ? { width: 3, opacity: 1 } : {}) },
      })),
    }],
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

const space = (colors, column, name) => column.kind === "choice"
  ? axis(colors, { type: "category", data: column.choices.map(String), name, axisLabel: { color: colors.muted, hideOverlap: true } })
  : axis(colors, { type: column.log ? "log" : "value", name, min: column.low, max: column.high, minInterval: column.integer ? 1 : undefined, splitLine: { show: false } });

export const slice = (data, { x }) => {
  const colors = palette();
  const place = data.columns.findIndex((column) => column.name === x);
  const column = data.columns[place];
  const shown = ranked(data).filter((row) => row.values[place] !== null).reverse();  // the best is drawn last, on top
  const most = shown.reduce((most, row) => Math.max(most, row.number), 1);
  return frame(colors, {
    grid: { left: 12, right: 18, top: 14, bottom: 26, containLabel: true },
    xAxis: space(colors, column, x),
    yAxis: axis(colors, { type: "value", scale: true }),
    series: [{
      type: "scatter", symbolSize: 7,
      data: shown.map((row) => ({
        value: [column.kind === "choice" ? String(row.values[place]) : row.values[place], row.value], trial: row.trial_id,
        symbolSize: row.rank === 1 ? 13 : 7, symbol: row.rank === 1 ? "diamond" : "circle",
        text: trialText(row, data.columns), itemStyle: { color: colors.series[row.rank === 1 ? 1 : 0], opacity: row.rank === 1 ? 1 : 0.25 + 0.5 * (row.number / most) },
      })),
      tooltip: { formatter: (one) => one.data.text },
    }],
  });
};

const CELLS = 24;
// Parameters with few whole values get a cell for each, like choices.
const asChoice = (column) => column.integer && column.high - column.low < 12
  ? { ...column, kind: "choice", choices: Array.from({ length: column.high - column.low + 1 }, (_, i) => column.low + i) }
  : column;

// A smooth surface of the mean value over two parameters (a weighted mean of near results), under the results themselves.
export const contour = (data, { x, y }) => {
  const colors = palette();
  const [i, j] = [x, y].map((name) => data.columns.findIndex((column) => column.name === name));
  const both = [asChoice(data.columns[i]), asChoice(data.columns[j])];
  const rows = ranked(data).filter((row) => row.values[i] !== null && row.values[j] !== null);
  const unit = (column, value) => {
    if (column.kind === "choice") return (column.choices.map(String).indexOf(String(value)) + 0.5) / column.choices.length;
    const scale = column.log ? Math.log : (v) => v;
    return (scale(value) - scale(column.low)) / (scale(column.high) - scale(column.low) || 1);
  };
  const points = rows.map((row) => ({ row, u: unit(both[0], row.values[i]), v: unit(both[1], row.values[j]) }));
  const good = goodness(data);
  const nx = both[0].kind === "choice" ? both[0].choices.length : CELLS;
  const ny = both[1].kind === "choice" ? both[1].choices.length : CELLS;
  const width = 0.12;
  const cells = [];
  for (let a = 0; a < nx && points.length > 2; a++) {
    for (let b = 0; b < ny; b++) {
      const [cu, cv] = [(a + 0.5) / nx, (b + 0.5) / ny];
      let total = 0, sum = 0;
      for (const { row, u, v } of points) {
        const weight = Math.exp(-((u - cu) ** 2 + (v - cv) ** 2) / (2 * width * width));
        total += weight;
        sum += weight * good(row.value);
      }
      if (total > 0.05) cells.push([a, b, sum / total]);
    }
  }
  const middle = (column, share) => {
    if (column.kind === "choice") return String(column.choices[Math.min(column.choices.length - 1, Math.floor(share * column.choices.length))]);
    const value = column.log
      ? Math.exp(Math.log(column.low) + share * (Math.log(column.high) - Math.log(column.low)))
      : column.low + share * (column.high - column.low);
    return column.integer ? String(Math.round(value)) : number(Number(value.toPrecision(2)));
  };
  const labels = (column, n) => Array.from({ length: n }, (_, k) => middle(column, (k + 0.5) / n));
  const cellAxis = (column, name, n, gap) => axis(colors, {
    nameGap: gap,
    type: "category", name, data: labels(column, n), splitLine: { show: false }, axisLabel: { color: colors.muted, hideOverlap: true, interval: column.kind === "choice" ? 0 : Math.floor(n / 5) },
    axisTick: { show: false },
  });
  // Named like the cells' axes, but continuous: where a result lies, whichever cell it falls into.
  const free = { type: "value", min: 0, max: 1, show: false };
  return frame(colors, {
    grid: { left: 36, right: 18, top: 14, bottom: 26, containLabel: true },
    xAxis: [cellAxis(both[0], x, nx, 28), free],
    yAxis: [cellAxis(both[1], y, ny, 46), free],
    series: [
      { type: "heatmap", silent: true, data: cells.map(([a, b, share]) => ({ value: [a, b, share], itemStyle: { color: visible(share), opacity: 0.85 } })) },
      {
        type: "scatter", xAxisIndex: 1, yAxisIndex: 1, symbolSize: 6,
        data: points.map(({ row, u, v }) => ({
          value: [u, v], trial: row.trial_id, text: trialText(row, data.columns),
          symbolSize: row.rank === 1 ? 13 : 6, symbol: row.rank === 1 ? "diamond" : "circle",
          itemStyle: { color: row.rank === 1 ? colors.series[1] : colors.surface, borderColor: colors.text, borderWidth: 1 },
        })),
        tooltip: { formatter: (one) => one.data.text },
      },
    ],
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
