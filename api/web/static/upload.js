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

  // The cells of a line of a CSV file; null when a quoted one does not end in it.
  const cells = (line, separator) => {
    const found = [""];
    let isQuoted = false;
    for (let i = 0; i < line.length; i++) {
      if (line[i] === '"' && isQuoted && line[i + 1] === '"') found[found.length - 1] += line[++i];
      else if (line[i] === '"') isQuoted = !isQuoted;
      else if (line[i] === separator && !isQuoted) found.push("");
      else found[found.length - 1] += line[i];
    }
    return isQuoted ? null : found.map((name) => name.trim());
  };

  // The names in the first line of a CSV file; null for files that the server alone can read.
  const header = async (file) => {
    if (!file || !/\.(csv|tsv|txt)$/i.test(file.name)) return null;
    const [line] = (await file.slice(0, HEAD_BYTES).text()).replace(/^\ufeff/, "").split(/\r?\n/, 1);
    if (!line || line.length >= HEAD_BYTES || /[\0\ufffd]/.test(line)) return null;
    const rows = [",", ";", "\t", "|"].map((separator) => cells(line, separator)).filter(Boolean);
    const names = rows.reduce((best, row) => (row.length > best.length ? row : best), []);
    return names.length > 1 && names.length <= MOST_COLUMNS && names.every(Boolean) && new Set(names).size === names.length ? names : null;
  };

  // The target is chosen from the columns where they are known, and written by hand where they are not.
  const written = document.getElementById("target");
  const offerColumns = async () => {
    const names = await header(input.files[0]);
    const present = document.getElementById("target");
    if (!names) {
      if (present !== written) present.replaceWith(written);
      return;
    }
    const list = document.createElement("select");
    list.id = "target";
    list.name = "target";
    list.append(new Option(`${names.at(-1)} (last column)`, names.at(-1)), ...names.slice(0, -1).map((name) => new Option(name, name)));
    const isFocused = document.activeElement === present;
    present.replaceWith(list);
    if (isFocused) list.focus();
  };

  const words = (text) => {
    try {
      const problem = JSON.parse(text);
      return window.hpsearch.sentence(problem.detail);
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
