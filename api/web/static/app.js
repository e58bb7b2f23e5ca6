// What every page does: instants in the viewer's zone, questions before changes, notices, and the state of live parts.
(() => {
  const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
  const instant = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
  const exact = new Intl.DateTimeFormat(undefined, {
    year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
    fractionalSecondDigits: 3, timeZoneName: "short",
  });
  const STEPS = [["second", 60], ["minute", 60], ["hour", 24], ["day", 30], ["month", 12], ["year", Infinity]];

  const ago = (at) => {
    let value = (at - Date.now()) / 1000;
    if (Math.abs(value) < 5) return "now";
    for (const [unit, size] of STEPS) {
      if (Math.abs(value) < size) return relative.format(Math.round(value), unit);
      value /= size;
    }
    return instant.format(at);
  };

  const showTime = (element) => {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime())) return;
    const style = element.dataset.time;
    const text = style === "relative" ? ago(at) : style === "clock" ? clock.format(at) : instant.format(at);
    if (element.textContent !== text) element.textContent = text;
    const title = exact.format(at);
    if (element.title !== title) element.title = title;
  };
  const showTimes = (root) => root.querySelectorAll("time[data-time]").forEach(showTime);

  // What a server told as a clause, as a sentence.
  const sentence = (text) => {
    const said = String(text ?? "").trim();
    return said && `${said[0].toUpperCase()}${said.slice(1)}${/[.?!…]$/.test(said) ? "" : "."}`;
  };

  const say = (text, kind) => {
    const box = document.createElement("div");
    box.className = `notice ${kind}`;
    box.setAttribute("role", kind === "error" ? "alert" : "status");
    const line = document.createElement("p");
    line.textContent = text;
    const close = document.createElement("button");
    close.type = "button";
    close.className = "quiet icon";
    close.dataset.dismiss = "";
    close.setAttribute("aria-label", "Dismiss");
    close.textContent = "×";
    box.append(line, close);
    document.getElementById("notices").replaceChildren(box);
  };

  // Questions before changes, in a dialog of the page instead of the browser's.
  const ask = (event) => {
    const { ctx, issueRequest, dropRequest } = event.detail;
    if (!ctx.confirm) return;
    event.preventDefault();
    const dialog = document.getElementById("confirm");
    document.getElementById("confirm-text").textContent = ctx.confirm;
    const { verb, keep } = ctx.sourceElement.dataset;
    document.getElementById("confirm-yes").textContent = verb || ctx.request.submitter?.textContent.trim() || "Continue";
    document.getElementById("confirm-no").textContent = keep || "Cancel";
    dialog.returnValue = "no";
    dialog.addEventListener("close", () => (dialog.returnValue === "yes" ? issueRequest() : dropRequest()), { once: true });
    dialog.showModal();
  };

  const connection = (text, state) => {
    const place = document.getElementById("connection");
    place.textContent = text;
    place.dataset.state = state;
  };

  document.addEventListener("DOMContentLoaded", () => {
    showTimes(document);
    setInterval(() => showTimes(document), 10_000);
    new MutationObserver((changes) => {
      for (const change of changes) {
        const element = change.target.nodeType === Node.TEXT_NODE ? change.target.parentElement : change.target;
        if (element?.matches?.("time[data-time]")) showTime(element);
        else if (change.addedNodes.length) showTimes(element);
      }
    }).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ["datetime"] });
  });

  document.addEventListener("click", (event) => {
    event.target.closest?.("[data-dismiss]")?.parentElement.remove();
  });

  // Good news go by themselves, and earlier when things have changed since; complaints stay until somebody has read them.
  const GOOD_NEWS_MS = 6_000, READ_MS = 2_000;
  const isLooked = (notice) => notice.matches(":hover, :focus-within");
  document.addEventListener("DOMContentLoaded", () => {
    const box = document.getElementById("notices");
    const came = new WeakMap();
    new MutationObserver(() => {
      for (const notice of box.querySelectorAll(".notice.good")) {
        if (came.has(notice)) continue;
        came.set(notice, performance.now());
        const leave = () => (isLooked(notice) ? setTimeout(leave, READ_MS) : notice.remove());
        setTimeout(leave, GOOD_NEWS_MS);
      }
    }).observe(box, { childList: true });
    document.addEventListener("state-changed", () => {
      for (const notice of box.querySelectorAll(".notice.good")) if (performance.now() - came.get(notice) > READ_MS) notice.remove();
    });
  });

  document.addEventListener("htmx:config:request", (event) => {
    // Pages send no referrer; so that changes still carry their origin, these requests name it to this server alone.
    event.detail.ctx.request.referrerPolicy = "same-origin";
  });
  document.addEventListener("htmx:confirm", ask);
  document.addEventListener("htmx:error", (event) => {
    if (event.detail.ctx?.sourceElement?.hasAttribute("hx-sse:connect")) return;
    say("The server did not answer. Look whether it runs and try again; nothing is known to have changed.", "error");
  });

  // Live parts say whether they are live.
  document.addEventListener("htmx:sse:after:connection", () => connection("Live", "live"));
  document.addEventListener("htmx:sse:error", (event) => {
    // The session is over: the page itself leads to the sign-in page.
    if (event.detail.status === 401) location.reload();
    else connection("Connection lost, trying again …", "lost");
  });
  document.addEventListener("htmx:sse:close", (event) => {
    if (event.detail.reason === "ended") connection("Live updates have ended; load the page again.", "lost");
  });

  window.hpsearch = { say, sentence, showTimes };
})();
