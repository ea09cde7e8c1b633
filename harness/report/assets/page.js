"use strict";
// Puts functions and colours into the option objects, which are pure data, and keeps them right when the
// reader's colour scheme or window changes.
(() => {
  const options = JSON.parse(document.getElementById("charts").textContent);
  const drawn = new Map();
  const linear = new Set();
  // Which chart an element shows: its own, or another one of the same figure.
  const chosen = new Map();

  const three = (x) => {
    if (x === 0) return "0";
    const magnitude = Math.floor(Math.log10(Math.abs(Number(x.toPrecision(3)))));
    return x.toFixed(Math.max(0, 2 - magnitude));
  };
  const scaled = (x, units) => {
    const rounded = Number(x.toPrecision(3));
    let [name, size] = units[0];
    for (const [n, s] of units) if (Math.abs(rounded) >= s) [name, size] = [n, s];
    const number = size === 1 && Number.isInteger(rounded) ? String(rounded) : three(rounded / size);
    return name ? number + " " + name : number;
  };
  const change = (ratio) => {
    if (Math.abs(ratio - 1) < 1e-9) return "no change";
    if (ratio >= 1.995) return "× " + three(ratio);
    if (ratio < 0.495) return "÷ " + three(1 / ratio);
    return (ratio > 1 ? "+" : "−") + three(100 * Math.abs(ratio - 1)) + " %";
  };
  const show = {
    nines: (x) => (100 * (1 - Math.pow(10, -x))).toFixed(Math.max(0, Math.ceil(x - 2 - 1e-9))) + " %",
    log_micros: (x) => scaled(x * 1000, [["ns", 1], ["µs", 1e3], ["ms", 1e6], ["s", 1e9]]),
    micros: (x) => (x === 0 ? "0" : show.log_micros(x)),
    seconds: (x) => Number(x.toFixed(2)) + " s",
    count: (x) => scaled(x, [["", 1], ["k", 1e3], ["M", 1e6], ["G", 1e9]]),
    bytes_per_s: (x) => show.bytes(x) + "/s",
    log_bytes_per_s: (x) => show.bytes(x) + "/s",
    log_ratio: (x) => change(Math.exp(x)),
    rows: () => "",
    unread: () => "",
    bytes: (x) => scaled(x, [["B", 1], ["kB", 1e3], ["MB", 1e6], ["GB", 1e9], ["TB", 1e12]]),
    percent: (x) => three(x) + " %",
  };
  // Ticks are round: 1.00 ms is 1 ms there.
  const tick = (text) => text.replace(/(\.\d*?)0+(?= |$)/, "$1").replace(/\.(?= |$)/, "");

  // One rectangle for each cell of a heat map, coloured by its count.
  const cell = (grid) => (params, api) => {
    const [from, to] = grid.columns[api.value(0)];
    const [left, top] = api.coord([from, grid.borders[api.value(1) + 1]]);
    const [right, bottom] = api.coord([to, grid.borders[api.value(1)]]);
    // Half a pixel more, or the page shines through between cells.
    return { type: "rect", shape: { x: left, y: top, width: right - left + 0.5, height: bottom - top + 0.5 }, style: { fill: api.visual("color") } };
  };

  // Names of rows, with what is under them smaller.
  const rowName = (rows) => (y) => {
    const [name, remark] = (rows[rows.length - 1 - y] ?? "").split("\n");
    return remark ? name + "\n{remark|" + remark + "}" : name;
  };

  const prepare = (id, css) => {
    // Of another choice only what is not as in the first is stored.
    const option = structuredClone({ ...options[id], ...options[chosen.get(id) ?? id] });
    const meta = option.plimsoll;
    delete option.plimsoll;
    const color = (name) => css.getPropertyValue(name).trim();
    const [fg, faint, grid] = [color("--fg"), color("--faint"), color("--grid")];
    option.textStyle = { color: fg, fontFamily: css.fontFamily };
    for (const legend of option.legend) Object.assign(legend, { textStyle: { color: fg }, inactiveColor: faint, itemWidth: 26, itemStyle: { opacity: 0 } });
    for (const title of option.title) title.textStyle.color = fg;
    for (const axis of option.xAxis) {
      Object.assign(axis.axisLabel, { color: faint, formatter: (x) => tick(show[meta.x](x)) });
      // The axis stands at the edge, also where zero is inside.
      axis.axisLine = { onZero: false, lineStyle: { color: faint } };
      axis.splitLine.lineStyle = { color: grid };
      axis.nameTextStyle = { color: faint };
      axis.axisPointer = { label: { show: false } };
    }
    option.yAxis.forEach((axis, i) => {
      if (linear.has(id) && axis.type === "log") Object.assign(axis, { type: "value", min: 0, max: "dataMax", minorSplitLine: { show: false } });
      const named = meta.rows[i].length > 0;
      Object.assign(axis.axisLabel, named
        ? { color: fg, lineHeight: 15, formatter: rowName(meta.rows[i]), align: "right", rich: { remark: { color: faint, fontSize: 11, lineHeight: 15 } } }
        : { color: faint, formatter: (y) => tick(show[meta.y[i]](y)) });
      Object.assign(axis.axisLine, { onZero: false, lineStyle: { color: faint } });
      axis.splitLine = { lineStyle: { color: grid } };
      axis.minorSplitLine.lineStyle = { color: grid, opacity: 0.45 };
    });
    for (const levels of option.visualMap) {
      levels.textStyle = { color: fg };
      for (const piece of levels.pieces) piece.color = color(piece.color);
    }
    // Under each line over counts the same one broader, or it is lost among their colours.
    if (meta.heat) option.series.push(...option.series.filter((s) => s.type === "line").map(({ markLine, markArea, ...line }) =>
      ({ ...line, color: "--bg", z: 1.5, silent: true, lineStyle: { width: 5 } })));
    for (const series of option.series) {
      if (series.type === "custom") {
        series.renderItem = cell(meta.heat);
        continue;
      }
      series.color = color(series.color);
      if (series.itemStyle) series.itemStyle.borderColor = color(series.itemStyle.borderColor);
      if (series.label) series.label.color = fg;
      if (series.markLine) {
        series.markLine.lineStyle.color = color("--mark");
        for (const mark of series.markLine.data) Object.assign(mark.label, { color: fg, rotate: 0, position: "end", distance: 3, fontSize: 11 });
      }
      if (series.markArea) {
        series.markArea.itemStyle = { color: color("--shade") };
        series.markArea.label.color = faint;
      }
    }
    for (const zoom of option.dataZoom) {
      Object.assign(zoom, { borderColor: faint, fillerColor: color("--shade"), textStyle: { color: faint }, labelFormatter: (x) => tick(show[meta.x](x)), showDataShadow: false });
    }
    Object.assign(option.tooltip, {
      backgroundColor: color("--card"), borderColor: faint, textStyle: { color: fg, fontSize: 12 },
      formatter: (points) => readout([].concat(points), meta, option),
    });
    return option;
  };

  const readout = (points, meta, option) => {
    const box = document.createElement("div");
    const head = document.createElement("strong");
    const [{ axisValue, value }] = points;
    head.textContent = axisValue === undefined ? show[meta.x](value[0]) + " " + option.xAxis.at(-1).name : show[meta.x](axisValue);
    box.append(head);
    const seen = new Set();
    for (const point of points) {
      const panel = option.series[point.seriesIndex].yAxisIndex;
      const key = panel + point.seriesName;
      if (point.value[1] === null || seen.has(key)) continue;
      seen.add(key);
      const row = document.createElement("div");
      const dot = document.createElement("span");
      dot.textContent = "● ";
      dot.style.color = point.color;
      row.append(dot, [[point.seriesName, point.name].filter(Boolean).join(" "), show[meta.y[panel]](point.value[1])].filter(Boolean).join(": "));
      box.append(row);
    }
    return box;
  };

  const draw = (id) => {
    const element = document.getElementById(id);
    if (!element) return;
    if (!drawn.has(id)) {
      drawn.set(id, echarts.init(element, null, { renderer: "svg" }));
      // What is over time is looked into together.
      if (options[id].plimsoll.x === "seconds") drawn.get(id).group = "time";
    }
    drawn.get(id).setOption(prepare(id, getComputedStyle(document.body)), { notMerge: true });
  };
  const drawAll = () => Object.keys(options).forEach(draw);

  drawAll();
  echarts.connect("time");
  document.querySelectorAll("[data-choose]").forEach((select) => select.addEventListener("change", () => {
    chosen.set(select.dataset.choose, select.value);
    draw(select.dataset.choose);
  }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  addEventListener("resize", () => drawn.forEach((chart) => chart.resize()));
  document.querySelectorAll("[data-toggle]").forEach((button) => button.addEventListener("click", () => {
    const id = button.dataset.toggle;
    if (!linear.delete(id)) linear.add(id);
    button.textContent = linear.has(id) ? "log scale" : "linear scale";
    button.setAttribute("aria-pressed", String(linear.has(id)));
    draw(id);
  }));
})();
