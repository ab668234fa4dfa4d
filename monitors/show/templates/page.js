(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js");
  var short = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  document.querySelectorAll("time[datetime]").forEach(function (time) {
    var moment = new Date(time.dateTime);
    if (!isNaN(moment)) time.textContent = short.format(moment);
  });

  var table = document.getElementById("datasets");
  if (!table) return;
  var form = document.getElementById("find");
  var count = document.getElementById("count");
  var none = document.getElementById("none");
  var body = table.tBodies[0];
  var rows = Array.prototype.slice.call(body.rows).map(function (row) {
    return { row: row, text: (row.cells[1].textContent + " " + (row.dataset.o || "")).toLowerCase(), data: row.dataset };
  });
  var order = ["error", "fail", "missing", "blocked", "warn", "blind", "muted", "pass"];

  function show() {
    var words = form.elements.q.value.toLowerCase().split(/\s+/).filter(Boolean);
    var state = form.elements.state.value;
    var owner = form.elements.owner.value;
    var layer = form.elements.layer.value;
    var seen = 0;
    rows.forEach(function (each) {
      var fits =
        (!state || each.data.s === state || (state === "red" && order.indexOf(each.data.s) < 3) ||
          (state === "not pass" && each.data.s !== "pass")) &&
        (!owner || (", " + (each.data.o || "") + ",").indexOf(", " + owner + ",") >= 0) &&
        (!layer || each.data.l === layer) &&
        words.every(function (word) { return each.text.indexOf(word) >= 0; });
      each.row.hidden = !fits;
      if (fits) seen += 1;
    });
    none.hidden = seen > 0;
    keep();
    count.textContent = seen.toLocaleString() + " of " + rows.length.toLocaleString() + " datasets";
  }

  // on a server: the address and the ways to other pages and back say what is filtered by
  var ways = !form.hasAttribute("action") ? [] :
    Array.prototype.filter.call(document.querySelectorAll("a[href^='/']"), function (way) {
      return /^\/($|dataset\/|incidents\/)/.test(way.pathname) && !none.contains(way);
    });
  function keep() {
    if (!form.hasAttribute("action")) return;
    var said = new URLSearchParams();
    new FormData(form).forEach(function (value, name) { if (value) said.append(name, value); });
    var query = String(said);
    history.replaceState(null, "", location.pathname + (query && "?" + query) + location.hash);
    ways.forEach(function (way) { way.search = query; });
  }

  function keyOf(each, key) {
    if (key === "s") return order.indexOf(each.data.s);
    if (key === "c") return Number(each.data.c);
    if (key === "n") return each.row.cells[1].textContent.trim().toLowerCase();
    return (each.data[key] || "\uffff").toLowerCase();
  }

  table.querySelectorAll("th button").forEach(function (button) {
    button.addEventListener("click", function () {
      var head = button.closest("th");
      var down = head.getAttribute("aria-sort") === "ascending";
      table.querySelectorAll("th[aria-sort]").forEach(function (each) {
        each.removeAttribute("aria-sort");
      });
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      var sign = down ? -1 : 1;
      rows.sort(function (one, other) {
        var a = keyOf(one, button.value), b = keyOf(other, button.value);
        return a < b ? -sign : a > b ? sign : 0;
      });
      var all = document.createDocumentFragment();
      rows.forEach(function (each) { all.appendChild(each.row); });
      body.appendChild(all);
    });
  });

  ["input", "change"].forEach(function (event) { form.addEventListener(event, show); });
  form.addEventListener("submit", function (event) { event.preventDefault(); show(); });
  show();
})();
