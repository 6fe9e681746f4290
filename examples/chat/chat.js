// The page: the history, an EventSource that tells of questions, and one for each answer that grows.
// What comes from people or from the model is only ever set as text.
const find = (selector, within = document) => within.querySelector(selector);
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const ALERTS = {
  lost: "The worker that answered was lost.",
  unsent: "The question could not be sent.",
};
const turns = new Map(); // by the answer's id
let questions = null;

function send(method, path, body) {
  return fetch(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

// A question with its answer, as it stands on the page. Made where it is not there yet.
function turn(id, question) {
  if (!turns.has(id)) {
    const element = find("#turn").content.firstElementChild.cloneNode(true);
    find(".question", element).textContent = question;
    const made = { id, question, element, text: find(".text", element), stream: null };
    find(".again", element).addEventListener("click", () => ask(made));
    find(".kill", element).addEventListener("click", () => send("POST", `/answers/${id}/kill`));
    find("#turns").append(element);
    turns.set(id, made);
    find("#empty").hidden = true;
  }
  return turns.get(id);
}

function show(turn, state) {
  turn.element.dataset.state = state;
  find(".state", turn.element).textContent = { unsent: "not sent" }[state] ?? state;
  find(".alert span", turn.element).textContent = ALERTS[state] ?? "";
  mayAsk();
}

function mayAsk() {
  find("#ask button").disabled = [...turns.values()].some(({ element }) => /asking|answering/.test(element.dataset.state));
}

function name(turn, what, worker) {
  for (const place of turn.element.querySelectorAll(what)) place.textContent = worker;
}

// Does something that makes the page longer, and stays at its end where it was there.
function growing(change) {
  const { scrollHeight, scrollTop, clientHeight } = document.documentElement;
  change();
  if (scrollHeight - scrollTop - clientHeight < 80) scrollTo(0, document.documentElement.scrollHeight);
}

// The browser connects again by itself, with the id of the last event. Where it gives up, the server knows the session no
// more, or its Redis is away: begin anew.
function listen(path, handlers, connected) {
  const stream = new EventSource(path);
  for (const [kind, handle] of Object.entries(handlers)) {
    stream.addEventListener(kind, ({ data }) => growing(() => handle(data)));
  }
  stream.addEventListener("gap", () => { stream.close(); load(); });
  stream.addEventListener("error", () => {
    connected(false);
    if (stream.readyState === EventSource.CLOSED) pause(2000).then(load);
  });
  return stream;
}

function follow(turn) {
  turn.stream?.close();
  show(turn, "answering");
  turn.text.textContent = ""; // the stream tells all of it
  const end = (state) => { turn.stream.close(); show(turn, state); };
  turn.stream = listen(`/answers/${turn.id}`, {
    served: (worker) => { connected(true); name(turn, ".served b", worker); },
    worker: (worker) => { turn.text.textContent = ""; name(turn, ".worker b, .kill b", worker); },
    word: (word) => { turn.text.textContent += word; },
    end: () => end("done"),
    lost: () => end("lost"),
  }, connected);
  function connected(is) { turn.element.toggleAttribute("data-cut", !is); }
}

// A request that may be repeated: the answer's id is the page's, and the server asks no question twice.
async function ask(turn) {
  if (turn.element.dataset.state === "answering") return; // another tab was faster
  show(turn, "asking");
  turn.element.scrollIntoView({ block: "end" });
  for (let attempt = 0; attempt < 5; attempt++) {
    try {
      const response = await send("PUT", `/answers/${turn.id}`, { text: turn.question });
      if (response.status === 404) return load();
      if (response.ok) {
        await pause(10_000);
        if (turn.element.isConnected && turn.element.dataset.state === "asking") load(); // nobody has begun: see what became of it
        return;
      }
    } catch { /* the worker that was asked is gone, and another one will answer */ }
    await pause(500);
  }
  if (turn.element.dataset.state === "asking") show(turn, "unsent");
}

function live(state, worker = "") {
  find("#live").dataset.state = state;
  find("#live span").textContent = state === "live" ? `live, worker ${worker}` : "connecting";
}

function leave() {
  questions?.close();
  for (const { stream } of turns.values()) stream?.close();
}

async function load() {
  leave();
  live("connecting");
  // One tab after the other: two that are opened at once would else begin a session each.
  const response = await navigator.locks.request("begin", () => send("POST", "/chat")).catch(() => null);
  if (!response?.ok) return pause(2000).then(load);
  const history = await response.json();
  if (document.hidden) return;
  leave();
  turns.clear();
  find("#turns").replaceChildren();
  find("#empty").hidden = false;
  for (const each of history.turns) {
    const added = turn(each.answer, each.question);
    added.text.textContent = each.text ?? "";
    name(added, ".worker b", each.worker ?? "");
    if (each.state === "answering") follow(added);
    else show(added, each.state);
  }
  scrollTo(0, document.documentElement.scrollHeight);
  questions = listen(`/questions${history.after ? `?after=${history.after}` : ""}`, {
    served: (worker) => live("live", worker),
    question: (data) => { const { answer, question } = JSON.parse(data); follow(turn(answer, question)); },
  }, () => live("connecting"));
  find("#ask input").disabled = false;
  mayAsk();
}

find("#ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const input = find("#ask input");
  const text = input.value.trim();
  if (!text || find("#ask button").disabled) return;
  input.value = "";
  ask(turn(crypto.randomUUID(), text));
});
for (const idea of document.querySelectorAll(".ideas button")) {
  idea.addEventListener("click", () => ask(turn(crypto.randomUUID(), idea.textContent)));
}
// A browser has six connections to a server for all tabs together: those that nobody sees need none.
document.addEventListener("visibilitychange", () => (document.hidden ? leave() : load()));
if (!document.hidden) load();
