// npm's resumable-stream, asked as reloading.py asks ours: node resumable.cjs produce|follow PORT STREAM EVENTS TIMES
const { createClient } = require("redis");
const { createResumableStreamContext } = require("resumable-stream");
const { createInterface } = require("node:readline");

const [role, port, stream, events, times] = process.argv.slice(2);
const EVENT = "0123456789abcdefghi ";
const HALF = (Number(events) / 2) * EVENT.length;
const OTHER_END_MS = 5_000;

async function begun() {
  const [publisher, subscriber] = [0, 1].map(() => createClient({ url: `redis://127.0.0.1:${port}` }));
  await Promise.all([publisher.connect(), subscriber.connect()]);
  return createResumableStreamContext({ waitUntil: null, publisher, subscriber });
}

async function produce(context) {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  let sent = 0;
  const source = () =>
    new ReadableStream({
      async pull(controller) {
        if (sent === Number(events) / 2) {
          console.log("half");
          await lines.next();
        }
        if (sent++ === Number(events)) controller.close();
        else controller.enqueue(EVENT);
      },
    });
  const reader = (await context.createNewResumableStream(stream, source)).getReader();
  while (!(await reader.read()).done);
  await new Promise((done) => setTimeout(done, 200)); // it marks the end only after its own reader is told
  console.log("end");
  await lines.next();
}

async function follow(context) {
  const told = { took: [], characters: 0, end: "" };
  for (let number = 0; number < Number(times); number++) {
    const began = performance.now();
    told.characters = 0;
    try {
      const resumed = await context.resumeExistingStream(stream);
      if (!resumed) {
        told.end = "none";
        break;
      }
      const reader = resumed.getReader();
      const late = new Promise((_, fail) => setTimeout(() => fail(new Error("late")), OTHER_END_MS).unref());
      while (told.characters < HALF || Number(times) === 1) {
        const { done, value } = await Promise.race([reader.read(), late]);
        if (done) {
          told.end = "end";
          break;
        }
        told.characters += value.length;
      }
      told.took.push(performance.now() - began);
      await reader.cancel();
    } catch (error) {
      told.end = error.message;
    }
  }
  console.log(JSON.stringify(told));
}

begun()
  .then(role === "produce" ? produce : follow)
  .then(() => process.exit(0));
