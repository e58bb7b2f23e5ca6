// Uploading a data file: by dropping or choosing it, with its progress, its columns to choose from, and its faults.
(() => {
  const form = document.getElementById("upload");
  if (!form) return;
  const zone = document.getElementById("dropzone");
  const input = document.getElementById("file");
  const bar = document.getElementById("upload-progress");
  const state = document.getElementById("upload-state");
  const complaint = document.getElementById("upload-complaint");
  const button = form.querySelector("button[type=submit]");
  const HEAD_BYTES = 65536;
  const MOST_COLUMNS = 500;

  const complain = (text) => {
    complaint.textContent = text;
    complaint.hidden = !text;
  };

  // Offers the names in the first line of a CSV file for the column to predict; other files are read by the server alone.
  const offerColumns = async () => {
    const list = document.getElementById("columns");
    list.replaceChildren();
    const file = input.files[0];
    if (!file || !/\.(csv|tsv|txt)$/i.test(file.name)) return;
    const [line] = (await file.slice(0, HEAD_BYTES).text()).split(/\r?\n/, 1);
    const separator = [",", ";", "\t", "|"].reduce((best, one) => (line.split(one).length > line.split(best).length ? one : best));
    for (const name of line.split(separator).slice(0, MOST_COLUMNS)) {
      const option = document.createElement("option");
      option.value = name.replace(/^\ufeff/, "").replace(/^"(.*)"$/, "$1").trim();
      list.append(option);
    }
  };

  const words = (text) => {
    try {
      const problem = JSON.parse(text);
      const detail = String(problem.detail || "");
      return detail ? `${detail[0].toUpperCase()}${detail.slice(1)}.` : "";
    } catch {
      return "";
    }
  };

  const done = (ok) => {
    button.disabled = false;
    bar.hidden = true;
    if (!ok) state.textContent = "";
  };

  const send = () => {
    complain("");
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("HX-Request", "true");
    request.setRequestHeader("Accept", "application/json");
    request.upload.addEventListener("progress", (event) => {
      if (!event.lengthComputable) return;
      bar.value = (100 * event.loaded) / event.total;
      state.textContent = event.loaded < event.total ? `${Math.floor(bar.value)} %` : "Reading the table …";
    });
    request.addEventListener("load", () => {
      const next = request.getResponseHeader("HX-Redirect");
      done(Boolean(next));
      if (next) location.assign(next);
      else if (request.status === 401) location.reload();
      else complain(words(request.responseText) || `The server answered ${request.status}. Try again.`);
    });
    request.addEventListener("error", () => {
      done(false);
      complain("The upload broke off: the connection was lost or the file is larger than the server takes. Nothing was stored.");
    });
    button.disabled = true;
    bar.hidden = false;
    bar.value = 0;
    state.textContent = "0 %";
    request.send(new FormData(form));
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  input.addEventListener("change", () => {
    complain("");
    offerColumns();
  });

  for (const name of ["dragenter", "dragover"]) {
    zone.addEventListener(name, (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
  }
  for (const name of ["dragleave", "drop"]) zone.addEventListener(name, () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    if (!event.dataTransfer.files.length) return;
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change"));
    document.getElementById("target").focus();
  });
})();
