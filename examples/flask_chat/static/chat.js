// Shows an answer while it is written. Without this script the form works as well: the page comes back with the answer.
"use strict";

const form = document.getElementById("post");
const list = document.getElementById("messages");
const problem = form.querySelector(".problem");

function add(role, content) {
  const item = document.createElement("li");
  const name = item.appendChild(document.createElement("b"));
  const text = item.appendChild(document.createElement("p"));
  item.className = role;
  name.textContent = role;
  text.textContent = content;
  list.append(item);
  item.scrollIntoView({ block: "end" });
  return item;
}

async function send(url, body) {
  const answer = await fetch(url, {
    method: "POST",
    headers: {
      "Accept": "application/json, text/event-stream",
      "Content-Type": "application/json",
      "X-CSRF-Token": form.elements.csrf_token.value,
    },
    body: JSON.stringify(body),
  });
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({ message: answer.statusText }));
    throw new Error(told.message);
  }
  return answer;
}

async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    text += part.value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const [event, data] = block.split("\n");
      yield [event.slice("event: ".length), JSON.parse(data.slice("data: ".length))];
    }
  }
}

async function showAnswer() {
  const item = add("assistant", "");
  item.classList.add("streaming");
  try {
    for await (const [event, data] of events(await send(form.dataset.answer, {}))) {
      if (event === "text") item.querySelector("p").textContent += data.text;
      if (event === "failed") problem.textContent = "The answer broke off.";
    }
  } finally {
    item.classList.remove("streaming");
    if (!item.querySelector("p").textContent) item.remove();
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = form.elements.content;
  form.querySelector("button").disabled = true;
  problem.textContent = "";
  try {
    const stored = await (await send(form.dataset.messages, { content: field.value })).json();
    add("user", stored.content);
    field.value = "";
    await showAnswer();
  } catch (error) {
    problem.textContent = error.message;
  } finally {
    problem.hidden = !problem.textContent;
    form.querySelector("button").disabled = false;
  }
});
