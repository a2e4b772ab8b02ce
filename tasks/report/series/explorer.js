// Finds a series of the page and draws it: its history, tonight's forecast, earlier forecasts, events and alerts.
// `block.py` says how the block is packed, and `contents.py` what it holds.
(async () => {
  "use strict";
  const root = document.documentElement;
  const $ = (id) => document.getElementById(id);
  const LISTED = 200;
  const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;

  // --- The block -------------------------------------------------------------------------------------------------
  const ARRAYS = { u1: Uint8Array, u2: Uint16Array, f4: Float32Array, f8: Float64Array };

  async function unpack(text) {
    const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    const content = new Uint8Array(await new Response(stream).arrayBuffer());
    const length = new DataView(content.buffer).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(content.subarray(4, 4 + length)));
    const arrays = {};
    let at = 4 + length;
    for (const { name, kind, shape } of header.arrays) {
      const size = Number(kind[1]);
      const count = shape.reduce((product, each) => product * each, 1);
      const bytes = new Uint8Array(size * count);
      for (let plane = 0; plane < size; plane++) {
        const first = at + plane * count;
        for (let i = 0; i < count; i++) bytes[i * size + plane] = content[first + i];
      }
      arrays[name] = new ARRAYS[kind](bytes.buffer);
      at += size * count;
    }
    return [header, arrays];
  }

  const explorer = $("explorer");
  if (typeof DecompressionStream === "undefined") {
    $("no-explorer").textContent =
      "This browser is too old to show every series; a newer one has a search box here. A few of the series follow.";
    $("no-explorer").hidden = false;
    return;
  }
  const [page, data] = await unpack($("series-block").textContent);
  const series = page.ids.length;
  const length = page.history + page.horizon;
  // The clock of the job's zone, counted as if it were UTC. Where it goes back, time goes on.
  const clock = data.clock;
  const x = [];
  for (let step = 0; step < length; step++) x.push(step ? Math.max(clock[step], x[step - 1] + 60) : clock[0]);
  const width = 2 + 2 * page.bands.length;
  const position = new Map(page.ids.map((id, i) => [id, i]));

  // Numbers `from + stride * k` of a row of a quantised array.
  function numbers(name, row, from, stride, count) {
    const counts = data[name], base = data[`${name}_base`][row], unit = data[`${name}_unit`][row];
    // A unit below one would leave traces such as 0.30000000000000004.
    const per = unit < 1 ? Math.round(1 / unit) : 0;
    return Array.from({ length: count }, (_, k) => {
      const found = counts[from + stride * k];
      return found === 65535 ? null : base + (per ? found / per : found * unit);
    });
  }
  const historyOf = (row) => numbers("history", row, row * page.history, 1, page.history);
  const aheadOf = (row, column) => numbers("ahead", row, row * page.horizon * width + column, width, page.horizon);
  const nightOf = (night, row, column) => {
    const horizon = page.nights[night].horizon;
    return numbers(`night${night}`, row, row * horizon * 3 + column, 3, horizon);
  };
  const flagged = (flag, row, step) => {
    const bytes = Math.ceil(length / 8);
    return (data.flags[(flag * series + row) * bytes + (step >> 3)] >> (7 - (step & 7))) & 1;
  };
  const alertsOf = (row) => page.alerts.filter((_, number) => data.in_alert[number * series + row]);
  const figure = (name, row) => (data[name] && Number.isFinite(data[name][row]) ? data[name][row] : null);

  // --- Words -----------------------------------------------------------------------------------------------------
  const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
  const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
  const number = (value) =>
    value === null || value === undefined ? "–"
      : Math.abs(value) >= 1e9 ? compact.format(value)
        : (Math.abs(value) >= 1000 ? grouped : short).format(value).replace("-", "\u2212");
  const percent = (share) => (share === null ? "–" : `${Math.round(share * 100)} %`);
  const plural = (count, word) => `${grouped.format(count)} ${word}${count === 1 ? "" : "s"}`;
  const rarity = (probability) => `one in ${probability > 1e-9 ? number(1 / probability) : "a billion or more"}`;
  const dayFormat = new Intl.DateTimeFormat("sv", {
    timeZone: "UTC", year: "numeric", month: "2-digit", day: "2-digit",
    ...(page.with_hours ? { hour: "2-digit", minute: "2-digit" } : {}),
  });
  const weekday = new Intl.DateTimeFormat("en", { timeZone: "UTC", weekday: "short" });
  const day = (step) => dayFormat.format(new Date(clock[step] * 1000));
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const inside = (band) => `${Math.round((band[1] - band[0]) * 100)} %`;

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "class") made.className = value;
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== null) made.setAttribute(name, value);
    }
    // Texts come from the data: they are never read as markup.
    made.append(...children);
    return made;
  }

  // --- Lists and search ------------------------------------------------------------------------------------------
  const all = Array.from({ length: series }, (_, i) => i);
  const down = (measure) => (a, b) => measure(b) - measure(a) || figure("size", b) - figure("size", a);
  const shownFor = (name, words) => ({
    rows: all.filter((i) => figure(name, i) !== null).sort(down((i) => figure(name, i))),
    words: (i) => words(figure(name, i)),
  });
  const lists = [["Largest", { ...shownFor("size", number), title: "by the mean of tonight's median" }]];
  if (data.mase) lists.push(["Worst by MASE", { ...shownFor("mase", number), title: "by MASE over the nights that were evaluated" }]);
  lists.push(["Widest", { ...shownFor("relative_width", percent), title: "widest interval, as a share of the median" }]);
  if (data.newest_miss) {
    const missed = shownFor("newest_miss", (miss) => `${number(miss)} widths off`);
    missed.rows = missed.rows.filter((i) => figure("newest_miss", i) > 0);
    lists.push(["Surprising", { ...missed, title: "the newest actual lies outside its interval, by so many widths" }]);
  }
  const anomalies = new Map();
  page.anomalies.of.forEach((i, k) => anomalies.set(i, [...(anomalies.get(i) ?? []), k]));
  if (anomalies.size) {
    // They come newest first, and of one time the least probable first; so the first of each series leads.
    const words = (i) => `${day(page.anomalies.step[anomalies.get(i)[0]])}, ${rarity(page.anomalies.probability[anomalies.get(i)[0]])}`;
    lists.push(["Anomalies", { rows: [...anomalies.keys()], words, title: "actuals that were not expected, newest first" }]);
  }
  const fallback = all.filter((i) => !data.by_model[i]).sort(down((i) => figure("size", i)));
  lists.push(["Fallback", { rows: fallback, words: (i) => page.reasons[i], title: "not forecast by the model" }]);
  if (page.alerts.some((alert) => alert.end === null)) {
    const open = (i) => alertsOf(i).filter((alert) => alert.end === null);
    // The newest alert first; the segment of all series says nothing of one of them.
    const newest = (i) => Math.max(-1, ...open(i).filter((alert) => alert.segment !== "all").map((alert) => alert.opened));
    const rows = all.filter((i) => newest(i) >= 0).sort(down(newest));
    lists.push(["In an alert", { rows, words: (i) => open(i).map((alert) => alert.segment).join(", "), title: "newest first" }]);
  }

  const folded = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLocaleLowerCase("en");
  const names = page.ids.map(folded);
  let order = lists[0], found = [], active = 0, chosen = -1;

  function search() {
    const words = folded($("find").value).split(/\s+/).filter(Boolean);
    if (!words.length) return order[1].rows;
    // The whole name first, then names that begin with what was typed, then those that hold it.
    const rank = (i) => (names[i] === words.join(" ") ? 0 : names[i].startsWith(words[0]) ? 1 : 2);
    return all.filter((i) => words.every((word) => names[i].includes(word))).sort((a, b) => rank(a) - rank(b));
  }

  function list() {
    const searching = $("find").value.trim() !== "";
    found = search();
    active = Math.max(0, found.indexOf(chosen));
    const shown = found.slice(0, LISTED);
    $("found").replaceChildren(...shown.map((i, place) => {
      const words = searching ? number(figure("size", i)) : order[1].words(i);
      const item = element("li", { role: "option", id: `found-${place}`, "aria-selected": String(i === chosen), title: page.ids[i] },
        element("bdi", {}, page.ids[i]), element("span", {}, words));
      item.addEventListener("click", () => choose(i, true));
      return item;
    }));
    $("count").textContent = !found.length
      ? (!searching ? "No series is in this list." : series === page.of_all ? "No series has such a name." :
        `None of the ${grouped.format(series)} series of this page has such a name. For any other: nightcast report ${page.job} --series NAME`)
      : `${plural(found.length, "series").replace("seriess", "series")}${searching ? " found" : ", " + order[1].title}` +
        (found.length > LISTED ? `; the first ${LISTED} are listed` : "");
    mark();
  }

  function mark() {
    for (const item of $("found").children) item.classList.toggle("active", item.id === `found-${active}`);
    const item = $(`found-${active}`);
    $("find").setAttribute("aria-activedescendant", item ? item.id : "");
    if (item) {
      const list = $("found");
      if (item.offsetTop < list.scrollTop || item.offsetTop + item.offsetHeight > list.scrollTop + list.clientHeight)
        list.scrollTop = item.offsetTop - list.clientHeight / 2;
    }
  }

  for (const entry of lists) {
    const button = element("button", { type: "button", "aria-pressed": String(entry === order), title: entry[1].title },
      `${entry[0]} `, element("small", {}, grouped.format(entry[1].rows.length)));
    button.addEventListener("click", () => {
      order = entry;
      $("find").value = "";
      for (const each of $("orders").children) each.setAttribute("aria-pressed", String(each === button));
      list();
    });
    $("orders").append(button);
  }
  $("find").addEventListener("input", list);
  $("find").addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    if (step) {
      active = Math.min(Math.max(active + step, 0), Math.min(found.length, LISTED) - 1);
      mark();
      event.preventDefault();
    } else if (event.key === "Enter" && found.length) {
      choose(found[active], true);
      event.preventDefault();
    } else if (event.key === "Escape") {
      $("find").value = "";
      list();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) {
      $("find").focus();
      event.preventDefault();
    }
  });

  // --- The chart -------------------------------------------------------------------------------------------------
  let plot = null, night = page.nights.length - 1, zoomed = true;
  // The earlier forecast that has met most of its actuals says most.
  night = page.nights.findIndex((each) => each.cutoff + each.horizon >= page.history - 1);
  if (night < 0) night = page.nights.length - 1;
  const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  const near = Math.max(0, page.history - Math.max(4 * page.horizon, 60));

  // Ticks of the time axis: their distance in seconds, or in months where that is too little.
  const HOUR = 3600, DAY = 24 * HOUR;
  const SECONDS = [60, 300, 900, 1800, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY];
  const MONTHS = [1, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 6000];
  const finest = length > 1 ? (x[length - 1] - x[0]) / (length - 1) : DAY;
  const monthOf = (second) => new Date(second * 1000).getUTCFullYear() * 12 + new Date(second * 1000).getUTCMonth();

  function ticks(u, _, min, max) {
    const most = Math.max(2, $("chart").clientWidth / 80), span = max - min;
    const seconds = SECONDS.find((each) => span / each <= most && each >= 0.9 * finest);
    if (seconds) {
      // Weeks begin on Monday, and 1970 on a Thursday.
      const shift = seconds >= 7 * DAY ? 4 * DAY : 0;
      const first = Math.ceil((min - shift) / seconds) * seconds + shift;
      return Array.from({ length: Math.max(0, Math.floor((max - first) / seconds) + 1) }, (_, k) => first + k * seconds);
    }
    const months = MONTHS.find((each) => span / (each * 30.4 * DAY) <= most) ?? MONTHS.at(-1);
    const found = [];
    for (let month = Math.ceil(monthOf(min) / months) * months; ; month += months) {
      const second = Date.UTC(2000, month - 24000, 1) / 1000;
      if (second > max) return found;
      if (second >= min) found.push(second);
    }
  }

  function tickLabels(u, seconds) {
    const apart = seconds.length > 1 ? seconds[1] - seconds[0] : DAY;
    const part = (second, options) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options }).format(new Date(second * 1000));
    const [over, under] = apart < 0.9 * DAY ? [{ hour: "2-digit", minute: "2-digit" }, { day: "numeric", month: "short" }]
      : apart < 27 * DAY ? [{ day: "numeric", month: "short" }, { year: "numeric" }]
        : apart < 360 * DAY ? [{ month: "short" }, { year: "numeric" }] : [{ year: "numeric" }, null];
    let last = "";
    return seconds.map((second) => {
      const below = under ? part(second, under) : "";
      const label = part(second, over) + (below !== last ? `\n${below}` : "");
      last = below;
      return label;
    });
  }

  function columns(row) {
    const padded = (values, from) => {
      const column = new Array(length).fill(null);
      values.forEach((value, k) => {
        if (from + k >= 0 && from + k < length) column[from + k] = value;
      });
      return column;
    };
    const made = [padded(historyOf(row), 0), padded(aheadOf(row, 1), page.history), padded(aheadOf(row, 0), page.history)];
    for (let column = 2; column < width; column++) made.push(padded(aheadOf(row, column), page.history));
    if (night >= 0) {
      const from = page.nights[night].cutoff + 1;
      for (const column of [0, 1, 2]) made.push(padded(nightOf(night, row, column), from));
    }
    return made;
  }

  function draw() {
    if (plot) plot.destroy();
    const box = $("chart");
    box.replaceChildren();
    const ink = colour("ink"), model = colour("model"), naive = colour("naive"), earlier = colour("earlier");
    const values = columns(chosen);
    const single = page.horizon === 1;
    const line = (label, stroke, lineWidth, more = {}) => ({
      label, stroke, width: lineWidth, spanGaps: false, points: { show: single ? true : undefined, size: 5, fill: stroke }, ...more,
    });
    const lines = [
      {},
      line("history", ink, 1.2, { points: { show: page.history < 40, size: 4, fill: ink } }),
      line("seasonal naive", naive, 1.3, { dash: [5, 3] }),
      line("median", model, 2),
    ];
    const bands = [];
    page.bands.forEach((band, k) => {
      for (const end of band) lines.push(line(`quantile ${end}`, "transparent", 0, { points: { show: single, size: 6, fill: model } }));
      bands.push({ series: [5 + 2 * k, 4 + 2 * k], fill: `color-mix(in srgb, ${model} 17%, transparent)` });
    });
    if (night >= 0) {
      const first = lines.length;
      lines.push(line("earlier median", earlier, 1.6), line("earlier low", "transparent", 0), line("earlier high", "transparent", 0));
      bands.push({ series: [first + 2, first + 1], fill: `color-mix(in srgb, ${earlier} 16%, transparent)` });
    }
    const begin = zoomed ? near : 0;
    const axis = { stroke: colour("muted"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: `12px ${getComputedStyle(document.body).fontFamily}` };
    const size = () => ({ width: Math.max(200, box.clientWidth), height: box.clientWidth < 520 ? 270 : 360 });
    plot = new uPlot({
      ...size(),
      padding: [14, 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 6 }, drag: { x: true, y: false } },
      scales: {
        x: { time: false, min: x[begin], max: x[length - 1] },
        y: { range: (_, low, high) => limits(low, high) },
      },
      axes: [
        { ...axis, splits: ticks, values: tickLabels },
        { ...axis, size: 54, values: (_, splits) => splits.map((value) => (value === null ? "" : compact.format(value))) },
      ],
      series: lines,
      bands,
      hooks: { drawClear: [drawMarks], draw: [drawCutoff, drawAnomalies], setCursor: [readOut] },
    }, [x, ...values], box);
    plot.setScale("x", { min: x[begin], max: x[length - 1] });
    const sized = new ResizeObserver(() => plot.setSize(size()));
    sized.observe(box);
    const destroy = plot.destroy;
    plot.destroy = () => {
      sized.disconnect();
      destroy();
    };
    readOut(plot);
  }

  function limits(low, high) {
    if (low === null || !Number.isFinite(low)) return [0, 1];
    // Sizes are read from zero, unless that would hide how they change.
    if (low >= 0 && low < 0.6 * high) low = 0;
    else if (low < high) low -= 0.06 * (high - low);
    if (high <= low) return [low - 1, high + 1];
    return [low, high + 0.06 * (high - low)];
  }

  function drawMarks(u) {
    const { ctx } = u, { left, top, width: wide, height: high } = u.bbox, dot = devicePixelRatio;
    const at = (step) => u.valToPos(x[Math.min(Math.max(step, 0), length - 1)], "x", true);
    const half = Math.max(1, (at(1) - at(0)) / 2);
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top - 12 * dot, wide, high + 12 * dot);
    ctx.clip();
    for (const alert of alertsOf(chosen)) {
      const from = at(alert.begin) - half, to = (alert.end === null ? at(page.history - 1) : at(alert.end)) + half;
      ctx.fillStyle = colour("alarm");
      ctx.globalAlpha = 0.06;
      ctx.fillRect(from, top, to - from, high);
      ctx.globalAlpha = 1;
      ctx.fillRect(from, top - 4 * dot, to - from, 3 * dot);
    }
    ctx.fillStyle = colour("holiday");
    for (const [step] of page.holidays) {
      const middle = at(step);
      ctx.globalAlpha = 0.35;
      ctx.fillRect(middle - dot / 2, top, dot, high);
      ctx.globalAlpha = 1;
      ctx.beginPath();
      ctx.moveTo(middle, top - 1 * dot);
      ctx.lineTo(middle - 4 * dot, top - 9 * dot);
      ctx.lineTo(middle + 4 * dot, top - 9 * dot);
      ctx.fill();
    }
    page.flags.forEach((_, flag) => {
      ctx.fillStyle = colour(`flag${flag}`);
      for (let step = 0; step < length; step++) {
        if (!flagged(flag, chosen, step)) continue;
        ctx.globalAlpha = 0.12;
        ctx.fillRect(at(step) - half, top, 2 * half, high);
        ctx.globalAlpha = 1;
        ctx.fillRect(at(step) - half, top + high - (4 + 5 * flag) * dot, Math.max(2 * half, 2 * dot), 4 * dot);
      }
    });
    ctx.restore();
  }

  function drawCutoff(u) {
    const { ctx } = u, { top, height: high } = u.bbox;
    const middle = u.valToPos(x[page.history - 1], "x", true);
    ctx.save();
    ctx.strokeStyle = colour("muted");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(middle, top);
    ctx.lineTo(middle, top + high);
    ctx.stroke();
    ctx.restore();
  }

  function drawAnomalies(u) {
    const { ctx } = u, { left, top, width: wide, height: high } = u.bbox, dot = devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, wide, high);
    ctx.clip();
    ctx.strokeStyle = colour("alarm");
    ctx.lineWidth = 2 * dot;
    for (const k of anomalies.get(chosen) ?? []) {
      const step = page.anomalies.step[k], value = u.data[1][step];
      if (value === null) continue;
      ctx.beginPath();
      ctx.arc(u.valToPos(x[step], "x", true), u.valToPos(value, "y", true), 6 * dot, 0, 2 * Math.PI);
      ctx.stroke();
    }
    ctx.restore();
  }

  function readOut(u) {
    const step = u.cursor.idx;
    if (step === null || step === undefined) {
      $("readout").textContent = "Point at the chart, or use the arrow keys in it, to read its figures. Drag to zoom, double-click to zoom out.";
      return;
    }
    const at = (column) => u.data[column][step];
    const parts = [`${weekday.format(new Date(clock[step] * 1000))} ${day(step)}`];
    if (at(1) !== null) parts.push(`actual ${number(at(1))}`);
    if (at(3) !== null) {
      parts.push(`median ${number(at(3))}`);
      if (page.bands.length) parts.push(`${inside(page.bands[0])} between ${number(at(4))} and ${number(at(5))}`);
      if (at(2) !== null) parts.push(`seasonal naive ${number(at(2))}`);
    }
    if (night >= 0 && at(u.data.length - 3) !== null) {
      const [middle, low, high] = [3, 2, 1].map((back) => at(u.data.length - back));
      parts.push(`forecast of ${day(page.nights[night].cutoff)}: ${number(middle)}` + (low === null ? "" : `, between ${number(low)} and ${number(high)}`));
    }
    for (const k of anomalies.get(chosen) ?? []) {
      const { step: steps, expected, probability, since } = page.anomalies;
      if (steps[k] !== step) continue;
      const began = since[k] === step ? "" : since[k] < 0 ? `, since before ${day(0)}` : `, since ${day(since[k])}`;
      parts.push(`anomaly: ${number(expected[k])} was expected, ${rarity(probability[k])}${began}`);
    }
    page.flags.forEach((name, flag) => flagged(flag, chosen, step) && parts.push(name));
    for (const [place, name] of page.holidays) if (place === step) parts.push(name);
    $("readout").textContent = parts.join(" · ");
  }

  $("chart").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -page.season, PageDown: page.season, Home: -length, End: length }[event.key];
    if (!step || !plot) return;
    const { min, max } = plot.scales.x;
    const first = x.findIndex((each) => each >= min);
    let last = length - 1;
    while (last > 0 && x[last] > max) last--;
    const next = Math.min(Math.max((plot.cursor.idx ?? page.history - 1) + step, first), last);
    plot.setCursor({ left: plot.valToPos(x[next], "x"), top: 10 });
    event.preventDefault();
  });

  // --- One series ------------------------------------------------------------------------------------------------
  function choose(row, andSay) {
    chosen = row;
    const id = page.ids[row], fallback = !data.by_model[row];
    $("name").textContent = id;
    $("tags").replaceChildren(
      element("span", { class: fallback ? "tag fallback" : "tag" }, fallback ? "fallback" : "model"),
      ...page.static.flatMap((column) => {
        const value = column.of[row] < 0 ? "" : column.values[column.of[row]];
        return value === "" ? [] : [element("span", { class: "tag plain" }, `${column.name}: `, element("bdi", {}, value))];
      }),
    );
    $("reason").textContent = fallback ? `Forecast by the fallback: ${page.reasons[row]}.` : "";
    draw();
    facts(row);
    table(row);
    why(row);
    for (const item of $("found").children) item.setAttribute("aria-selected", "false");
    const place = found.indexOf(row);
    if (place >= 0) active = place;
    if ($(`found-${place}`)) $(`found-${place}`).setAttribute("aria-selected", "true");
    mark();
    if (andSay) {
      followNeighbours(id);
      history.replaceState(null, "", `#series=${encodeURIComponent(id)}`);
      $("said").textContent = `${id} is shown.`;
      if (matchMedia("(max-width: 860px)").matches)
        $("shown").scrollIntoView({ block: "start", behavior: reduced ? "auto" : "smooth" });
    }
  }

  // Whoever goes to the page of another night wants to see the same series there.
  const neighbours = [...document.querySelectorAll("nav.pages a[rel]")].map((link) => [link, link.getAttribute("href")]);
  function followNeighbours(id) {
    for (const [link, address] of neighbours) link.setAttribute("href", `${address}#series=${encodeURIComponent(id)}`);
  }

  function fact(name, value, more, tone) {
    return element("div", {}, element("dt", {}, name), element("dd", tone ? { class: tone } : {}, value, element("small", {}, more)));
  }

  function facts(row) {
    const median = aheadOf(row, 0);
    const total = median.reduce((sum, value) => sum + (value ?? 0), 0);
    const shown = [fact("Tonight's median", number(total), `sum over ${plural(page.horizon, "step")}`)];
    const points = figure("points", row);
    if (points) {
      const mae = figure("mae", row), naive = figure("baseline_mae", row), coverage = figure("coverage", row);
      const gain = naive ? 1 - mae / naive : null;
      shown.push(fact("MAE", number(mae), gain === null ? `${plural(points, "point")}` :
        `${percent(Math.abs(gain))} ${gain >= 0 ? "lower" : "higher"} than the seasonal naive's ${number(naive)}`, gain === null ? "" : gain >= 0 ? "better" : "worse"));
      shown.push(fact("MASE", number(figure("mase", row)), `over ${plural(points, "point")} of the last nights`));
      if (coverage !== null && page.bands.length)
        shown.push(fact(`Inside the ${inside(page.bands[0])} interval`, percent(coverage), "of the actuals since"));
      const miss = figure("newest_miss", row);
      if (miss !== null)
        shown.push(fact("Newest actual", miss > 0 ? "outside" : "inside", miss > 0 ? `by ${number(miss)} widths of the interval` : "the widest interval forecast for it", miss > 0 ? "worse" : ""));
    } else {
      shown.push(fact("Errors", "none yet", "no actual has arrived for an earlier forecast"));
    }
    $("facts").replaceChildren(...shown);
    const alerts = alertsOf(row);
    $("its-alerts").replaceChildren(...alerts.map((alert) => {
      const words = (alert.message || alert.signal).replace(`${page.job}, ${alert.segment}: `, "");
      return element("li", {}, element("b", { class: alert.end === null ? "worse" : "" }, alert.end === null ? alert.state : "closed"),
        " in ", element("bdi", {}, alert.segment), `: ${words}`);
    }));
    $("its-alerts").hidden = !alerts.length;
  }

  function table(row) {
    const shown = [0, 2, 3, 1].filter((column) => column < width);
    const heads = { 0: "median", 1: "seasonal naive", 2: page.bands.length ? `q ${page.bands[0][0]}` : "", 3: page.bands.length ? `q ${page.bands[0][1]}` : "" };
    const figures = shown.map((column) => aheadOf(row, column));
    $("figures").replaceChildren(
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "step"), element("th", { scope: "col" }, "day"),
        ...shown.map((column) => element("th", { scope: "col", class: "n" }, heads[column])))),
      element("tbody", {}, ...Array.from({ length: Math.min(page.horizon, 400) }, (_, k) => element("tr", {},
        element("td", {}, String(k + 1)), element("td", { class: "nowrap" }, day(page.history + k)),
        ...figures.map((values) => element("td", { class: "n" }, number(values[k]))))),
      ),
    );
  }

  // What moved the forecast: the mean of all steps first, then each step. The figures of a line add up to its median.
  function why(row) {
    const names = page.parts ?? [];
    const at = names.length ? data.part_row[row] : -1;
    $("why").hidden = !names.length || !data.by_model[row];
    $("why-note").textContent = at >= 0
      ? "Each part is the forecast minus the forecast without it, in units of the series. The parts act together and need not add up: the rest is what is missing."
      : `This page explains ${plural(data.parts ? data.parts.length / (names.length * page.horizon) : 0, "forecast")}: those of the largest series, and of those that lead another list. For this one: nightcast explain ${page.job} --series ${quoted(page.ids[row])}`;
    if (at < 0) {
      $("parts").replaceChildren();
      return;
    }
    const median = aheadOf(row, 0);
    const part = (figure, k) => data.parts[(at * names.length + figure) * page.horizon + k];
    const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const steps = Array.from({ length: page.horizon }, (_, k) => k);
    const signed = (value, figure) => {
      const shown = Math.abs(value) < 5e-5 ? "0" : number(value);
      return figure && shown !== "0" && value > 0 ? `+${shown}` : shown;
    };
    const cells = (values, total) => [
      ...values.map((value, figure) => element("td", { class: "n" }, signed(value, figure))),
      element("td", { class: "n" }, number(total)),
    ];
    $("parts").replaceChildren(
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "step"), element("th", { scope: "col" }, "day"),
        ...[...names, "forecast"].map((name) => element("th", { scope: "col", class: "n" }, element("bdi", {}, name))))),
      element("tbody", {},
        element("tr", { class: "mean" }, element("td", {}, "mean"), element("td", {}, plural(page.horizon, "step")),
          ...cells(names.map((_, figure) => mean(steps.map((k) => part(figure, k)))), mean(median))),
        ...steps.slice(0, 400).map((k) => element("tr", {}, element("td", {}, String(k + 1)), element("td", { class: "nowrap" }, day(page.history + k)),
          ...cells(names.map((_, figure) => part(figure, k)), median[k])))),
    );
  }

  const nightButtons = page.nights.map((each, number) => {
    const button = element("button", { type: "button", "aria-pressed": String(number === night) }, day(each.cutoff));
    button.addEventListener("click", () => {
      night = night === number ? -1 : number;
      nightButtons.forEach((other, place) => other.setAttribute("aria-pressed", String(place === night)));
      $("earlier-key").hidden = night < 0;
      draw();
    });
    return button;
  });
  $("nights").append(...nightButtons);
  $("nights-line").hidden = !page.nights.length;
  $("earlier-key").hidden = night < 0;
  const span = (whole) => {
    zoomed = !whole;
    $("near").setAttribute("aria-pressed", String(!whole));
    $("whole").setAttribute("aria-pressed", String(whole));
    draw();
  };
  $("near").addEventListener("click", () => span(false));
  $("whole").addEventListener("click", () => span(true));
  $("spans").hidden = near === 0;
  const key = (kind, text) => element("span", { class: "key" }, element("i", { class: kind }), text);
  $("event-keys").append(
    ...page.flags.map((name, flag) => key(`flag flag${flag}`, name)),
    ...(page.holidays.length ? [key("holiday", "public holiday")] : []),
    ...(anomalies.size ? [key("anomaly", "anomaly")] : []),
    ...(page.alerts.length ? [key("alert-span", "alert")] : []),
  );
  $("held").textContent =
    (series === page.of_all || series === 1 ? "" : `This page holds ${grouped.format(series)} of ${grouped.format(page.of_all)} series: the largest, and those that lead another list. For the page of any other: nightcast report ${page.job} --series NAME. `) +
    (page.rows_since ? `The model was loaded and not trained, so this night read the newest rows only: the history begins on ${day(0)}.` : "");
  $("held").hidden = !$("held").textContent;

  // --- Beginning -------------------------------------------------------------------------------------------------
  function fromAddress() {
    const named = /^#series=(.*)$/s.exec(location.hash);
    if (!named) return false;
    let id;
    try {
      id = decodeURIComponent(named[1]);
    } catch {
      id = named[1];
    }
    if (position.has(id)) {
      choose(position.get(id), false);
      followNeighbours(id);
      $("missing").hidden = true;
      return true;
    }
    $("find").value = id;
    list();
    $("missing").textContent = `${id} is not among the ${grouped.format(series)} series of this page. ` +
      (series < page.of_all ? `Its own page: nightcast report ${page.job} --series ${quoted(id)}` : "");
    $("missing").hidden = false;
    return false;
  }
  explorer.hidden = false;
  explorer.classList.toggle("alone", series === 1 && page.of_all > 1);
  root.classList.add("explored");
  list();
  if (!fromAddress() && series) choose(found[0] ?? 0, false);
  addEventListener("hashchange", () => fromAddress() && explorer.scrollIntoView());
  if (/^#series=/.test(location.hash)) explorer.scrollIntoView();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  // Paper is white, whatever the screen is.
  addEventListener("beforeprint", () => {
    root.classList.add("printing");
    draw();
  });
  addEventListener("afterprint", () => {
    root.classList.remove("printing");
    draw();
  });
  explorer.dataset.ready = "yes";
})();
