// How the page draws the search space: parallel coordinates, slices and contours, and what is selected in them.
// Made from the basics of charts.js, so that both are fetched under the address of their content.

export const spaceCharts = ({ palette, css, number, axis, frame, trialText }) => {
  // From poor to good, told apart by lightness alone as well (viridis-like, ends lighter in the dark).
  const SCALE = ["#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"];

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

  const parallel = (data) => {
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
        axisLine: { lineStyle: { color: colors.muted } },
        axisTick: { lineStyle: { color: colors.muted }, alignWithLabel: true, customValues: column.low === undefined || column.kind === "choice" ? undefined : ticks(column) },
        axisLabel: {
          color: colors.text, fontSize: 11, formatter: column.kind === "choice" ? undefined : number, hideOverlap: true, margin: 9,
          backgroundColor: colors.surface, padding: [1, 3], borderRadius: 3, customValues: column.low === undefined || column.kind === "choice" ? undefined : ticks(column),
        },
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

  // A filter's conditions as intervals of each parallel axis, the metric's last.
  const selectionOf = (data, conditions) => [...data.columns, { name: data.metric }].map((column) =>
    conditions.filter(({ name }) => name === column.name).flatMap(({ operator, right }) => {
      const low = column.low ?? -1e300, high = column.high ?? 1e300;
      if (column.kind === "choice") {
        const places = right.split("|").map((text) => column.choices.map(String).indexOf(text.trim()));
        return operator === "=" ? places.filter((i) => i >= 0).map((i) => [i - 0.4, i + 0.4]) : [];
      }
      if (operator === "=") {
        return right.split("|").map((text) => {
          const [from, to] = text.includes("..") ? text.split("..") : [text, text];
          return [from.trim() ? Number(from) : low, to.trim() ? Number(to) : high];
        }).filter((pair) => pair.every(Number.isFinite));
      }
      const bound = Number(right);
      if (operator === "!=" || !Number.isFinite(bound)) return [];
      return [operator[0] === "<" ? [low, bound] : [bound, high]];
    }));

  // What was selected along the axes as conditions of a filter; bounds are rounded outwards to four digits.
  const conditionsOf = (data, intervals) => [...data.columns, { name: data.metric }].flatMap((column) => {
    const spans = intervals[column.name] ?? [];
    if (!spans.length) return [];
    if (column.kind === "choice") {
      const chosen = column.choices.filter((_, i) => spans.some(([low, high]) => low <= i && i <= high)).map(String);
      return chosen.length ? [`${column.name} = ${chosen.join("|")}`] : [];
    }
    const rounded = (value, way) => {
      if (column.integer) return Math.round(value);
      const digits = value === 0 ? 1 : 10 ** (3 - Math.floor(Math.log10(Math.abs(value))));
      return Number((Math[way](value * digits) / digits).toPrecision(4));
    };
    const parts = spans.map((span) => [...span].sort((a, b) => a - b)).map(([low, high]) => [rounded(low, "floor"), rounded(high, "ceil")]);
    return [`${column.name} = ${parts.map(([low, high]) => (low === high ? String(low) : `${low}..${high}`)).join("|")}`];
  });

  // Round values along an axis, its ends among them where there is room.
  const ticks = (column) => {
    const { low, high } = column;
    const scale = column.log ? Math.log10 : (value) => value;
    const span = scale(high) - scale(low) || 1;
    let inner = [];
    if (column.log) {
      const steps = span > 2.5 ? [1] : span > 1 ? [1, 3] : [1, 2, 5];
      for (let power = Math.floor(scale(low)); power <= Math.ceil(scale(high)); power++) inner.push(...steps.map((step) => Number((step * 10 ** power).toPrecision(3))));
    } else {
      const rough = span / 5, power = 10 ** Math.floor(Math.log10(rough));
      const step = Math.max(column.integer ? 1 : 0, power * ([1, 2, 5, 10].find((nice) => nice * power >= rough) ?? 10));
      for (let k = Math.ceil(low / step); k * step <= high; k++) inner.push(Number((k * step).toPrecision(12)));
    }
    if (column.integer) inner = inner.filter(Number.isInteger);
    const isFree = (value) => [low, high].every((end) => Math.abs(scale(value) - scale(end)) > 0.09 * span);
    return [...new Set([low, ...inner.filter((value) => value > low && value < high && isFree(value)), high])];
  };

  const asPlace = (column, value) => column.choices.map(String).indexOf(String(value));
  // Results of the same choice lie side by side, not upon each other.
  const aside = (row) => 0.5 + 0.55 * ((row.number * 0.6180339887) % 1 - 0.5);

  // An axis of a parameter: with room at its ends, or with a band for each choice.
  const space = (colors, column, name) => {
    if (column.kind === "choice") return axis(colors, { type: "category", data: column.choices.map(String), name, axisTick: { show: false }, axisLabel: { color: colors.muted, hideOverlap: true } });
    const scale = column.log ? Math.log : (value) => value, back = column.log ? Math.exp : (value) => value;
    const room = 0.04 * (scale(column.high) - scale(column.low) || 1);
    const values = ticks(column);
    return axis(colors, {
      type: column.log ? "log" : "value", name, min: back(scale(column.low) - room), max: back(scale(column.high) + room), splitLine: { show: false },
      axisTick: { customValues: values, lineStyle: { color: colors.line } }, axisLabel: { color: colors.muted, hideOverlap: true, formatter: number, customValues: values },
    });
  };

  const bands = (n) => ({ type: "value", min: 0, max: n, show: false });

  const slice = (data, { x }) => {
    const colors = palette();
    const place = data.columns.findIndex((column) => column.name === x);
    const column = asChoice(data.columns[place]);
    const isChoice = column.kind === "choice";
    const shown = ranked(data).filter((row) => row.values[place] !== null).reverse();  // the best is drawn last, on top
    const most = shown.reduce((most, row) => Math.max(most, row.number), 1);
    return frame(colors, {
      grid: { left: 12, right: 18, top: 14, bottom: 26, containLabel: true },
      xAxis: isChoice ? [space(colors, column, x), bands(column.choices.length)] : [space(colors, column, x)],
      yAxis: axis(colors, { type: "value", scale: true, boundaryGap: ["4%", "4%"] }),
      series: [{
        type: "scatter", symbolSize: 7, xAxisIndex: isChoice ? 1 : 0,
        data: shown.map((row) => ({
          value: [isChoice ? asPlace(column, row.values[place]) + aside(row) : row.values[place], row.value], trial: row.trial_id,
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
  const contour = (data, { x, y }) => {
    const colors = palette();
    const [i, j] = [x, y].map((name) => data.columns.findIndex((column) => column.name === name));
    const both = [asChoice(data.columns[i]), asChoice(data.columns[j])];
    const rows = ranked(data).filter((row) => row.values[i] !== null && row.values[j] !== null);
    // Where a value lies from 0 to 1, a choice in the middle of its band.
    const unit = (column, value, within = 0.5) => {
      if (column.kind === "choice") return (asPlace(column, value) + within) / column.choices.length;
      const scale = column.log ? Math.log : (v) => v;
      return (scale(value) - scale(column.low)) / (scale(column.high) - scale(column.low) || 1);
    };
    const points = rows.map((row) => ({ row, u: unit(both[0], row.values[i]), v: unit(both[1], row.values[j]) }));
    const good = goodness(data);
    const [nx, ny] = both.map((column) => (column.kind === "choice" ? column.choices.length : CELLS));
    // Choices have no neighbours, and neither have few whole numbers: only results of the same one count for a cell.
    const near = (column, n, distance) => (column.kind === "choice" ? (Math.abs(distance) < 0.5 / n ? 1 : 0) : Math.exp(-(distance ** 2) / (2 * 0.12 ** 2)));
    const cells = [];
    for (let a = 0; a < nx && points.length > 2; a++) {
      for (let b = 0; b < ny; b++) {
        let total = 0, sum = 0;
        for (const { row, u, v } of points) {
          const weight = near(both[0], nx, u - (a + 0.5) / nx) * near(both[1], ny, v - (b + 0.5) / ny);
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
      return number(column.integer ? Math.round(value) : Number(value.toPrecision(2)));
    };
    const labels = (column, n) => Array.from({ length: n }, (_, k) => middle(column, (k + 0.5) / n));
    const cellAxis = (column, name, n, gap) => axis(colors, {
      nameGap: gap,
      type: "category", name, data: labels(column, n), splitLine: { show: false }, axisLabel: { color: colors.muted, hideOverlap: true, interval: column.kind === "choice" ? 0 : Math.floor(n / 5) },
      axisTick: { show: false },
    });
    // Named like the cells' axes, but continuous and with half a dot's room: where a result lies, whichever cell it falls into.
    const free = (column) => (column.kind === "choice" ? { ...bands(1) } : { ...bands(1), min: -0.02, max: 1.02 });
    const place = (column, row, k) => unit(column, row.values[k], aside(row));
    return frame(colors, {
      grid: { left: 36, right: 18, top: 14, bottom: 26, containLabel: true },
      xAxis: [cellAxis(both[0], x, nx, 28), free(both[0])],
      yAxis: [cellAxis(both[1], y, ny, 46), free(both[1])],
      series: [
        { type: "heatmap", silent: true, data: cells.map(([a, b, share]) => ({ value: [a, b, share], itemStyle: { color: visible(share), opacity: 0.85, ...(both.every((column) => column.kind === "choice") ? { borderColor: colors.surface, borderWidth: 2 } : {}) } })) },
        {
          type: "scatter", xAxisIndex: 1, yAxisIndex: 1, symbolSize: 6,
          data: points.map(({ row }) => ({
            value: [place(both[0], row, i), place(both[1], row, j)], trial: row.trial_id, text: trialText(row, data.columns),
            symbolSize: row.rank === 1 ? 13 : 6, symbol: row.rank === 1 ? "diamond" : "circle",
            itemStyle: { color: row.rank === 1 ? colors.series[1] : colors.surface, borderColor: colors.text, borderWidth: 1 },
          })),
          tooltip: { formatter: (one) => one.data.text },
        },
      ],
    });
  };

  return { parallel, slice, contour, selectionOf, conditionsOf };
};
