"use strict";
(() => {
  const data = JSON.parse(document.getElementById("timeline-data").textContent);
  const holder = document.getElementById("timeline");
  const told = document.getElementById("timeline-told");
  const LABEL = 190, LANE = 22, HEAD = 26, GROUP = 22, NS = "http://www.w3.org/2000/svg";
  let from = 0, to = data.end;

  function make(name, attributes, parent, text) {
    const element = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  }

  function step(span, room) {
    const raw = span / Math.max(room / 90, 1), power = 10 ** Math.floor(Math.log10(raw));
    return [1, 2, 5, 10].map(n => n * power).find(n => n >= raw);
  }

  function draw() {
    const width = Math.max(holder.clientWidth, 500), room = width - LABEL - 8;
    const x = seconds => LABEL + (seconds - from) / (to - from) * room;
    const groups = new Set(data.lanes.map(lane => lane.group));
    const height = HEAD + data.lanes.length * LANE + groups.size * GROUP + 8;
    holder.replaceChildren();
    const svg = make("svg", {width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "time line"}, holder);
    const clip = make("clipPath", {id: "room"}, svg);
    make("rect", {x: LABEL, y: 0, width: room, height}, clip);
    const inside = make("g", {"clip-path": "url(#room)"}, svg);
    for (const band of data.bands) {
      const rect = make("rect", {x: x(band.begin), y: HEAD - 8, width: Math.max(x(band.end) - x(band.begin), 2), height: height - HEAD + 8, fill: band.colour, class: "band"}, inside);
      make("title", {}, rect, `${band.label}: ${band.begin.toFixed(2)} s to ${band.end.toFixed(2)} s`);
    }
    const tick = step(to - from, room);
    for (let at = Math.ceil(from / tick) * tick; at <= to; at += tick) {
      make("line", {x1: x(at), x2: x(at), y1: HEAD - 8, y2: height, class: "grid"}, inside);
      make("text", {x: x(at), y: 12, "text-anchor": "middle", class: "axis"}, svg, `${+at.toFixed(3)} s`);
    }
    let y = HEAD, group = null;
    for (const lane of data.lanes) {
      if (lane.group !== group) {
        group = lane.group;
        make("text", {x: 0, y: y + 15, class: "group"}, svg, group);
        y += GROUP;
      }
      make("text", {x: 12, y: y + 15, class: "lane"}, svg, lane.label);
      make("line", {x1: LABEL, x2: width, y1: y + LANE / 2, y2: y + LANE / 2, class: "rail"}, inside);
      for (const item of lane.items) {
        if (item.end < from || item.begin > to) continue;
        const thin = ["start", "stop", "tick", "fencing"].includes(item.kind);
        const rect = make("rect", {
          x: x(item.begin), y: y + (thin ? 6 : 3), height: LANE - (thin ? 12 : 6), rx: 2,
          width: Math.max(x(item.end) - x(item.begin), item.kind === "tick" ? 2 : 1.5), class: `item ${item.kind}`, tabindex: -1,
        }, inside);
        make("title", {}, rect, `${lane.label} ${item.title} at ${item.begin.toFixed(3)} s`);
      }
      y += LANE;
    }
    told.textContent = `${from.toFixed(2)} s to ${to.toFixed(2)} s`;
  }

  function show(a, b) {
    const span = Math.min(Math.max(b - a, 0.05), data.end);
    from = Math.min(Math.max(a, 0), data.end - span);
    to = from + span;
    draw();
  }

  function zoom(factor, middle = (from + to) / 2) {
    show(middle - (middle - from) * factor, middle + (to - middle) * factor);
  }

  function moment(event) {
    const box = holder.getBoundingClientRect();
    return from + (event.clientX - box.left - LABEL) / (box.width - LABEL - 8) * (to - from);
  }

  holder.addEventListener("wheel", event => {
    if (!event.ctrlKey && !event.shiftKey) return;
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, moment(event));
  }, {passive: false});
  let held = null;
  holder.addEventListener("pointerdown", event => { held = {at: event.clientX, from, to}; holder.setPointerCapture(event.pointerId); });
  holder.addEventListener("pointermove", event => {
    if (!held) return;
    const moved = (event.clientX - held.at) / (holder.clientWidth - LABEL - 8) * (held.to - held.from);
    show(held.from - moved, held.to - moved);
  });
  for (const end of ["pointerup", "pointercancel"]) holder.addEventListener(end, () => { held = null; });
  document.getElementById("closer").addEventListener("click", () => zoom(0.5));
  document.getElementById("wider").addEventListener("click", () => zoom(2));
  document.getElementById("whole").addEventListener("click", () => show(0, data.end));
  const pick = document.getElementById("pick");
  data.bands.forEach((band, index) => pick.append(new Option(`${index + 1}. ${band.label}`, index)));
  pick.addEventListener("change", () => {
    const band = data.bands[pick.value];
    if (band) show(band.begin - 1, band.end + 1); else show(0, data.end);
  });
  addEventListener("resize", draw);
  addEventListener("beforeprint", draw);
  draw();
})();
