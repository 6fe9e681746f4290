"""What the README says above each table: what is measured, and what to take from it."""

from __future__ import annotations

from typing import NamedTuple


class Text(NamedTuple):
    """A workload's heading, text, and plot, if it has one."""

    heading: str
    text: str
    plot: str = ""


INTRODUCTION = """\
`make bench` measures everything here in one run, on a server of its own, and writes this page. `make bench QUICK=1` is
the same with smaller sizes and fewer rounds, in two minutes; its tables go to the terminal. `ARGS='--only tasks'`
chooses workloads, and with `--into` they take the place of theirs on this page, which says so at its end. Whoever is compared has the same server, the same values and the same TTL, and does it in the way that
its documentation recommends.

- **A ratio is ours / theirs** within one round, and each round gives everybody a turn, in alternating order. The table
  has the median over the rounds, and in brackets the quartiles: half of the rounds lie between them. Below 1 we are
  quicker where the unit is a time, and slower where it is calls per second.
- **"too wide to tell"**: the quartiles lie further apart than half of the median, so the median is not given.
- **Cores awake, cores idle**: a core with nothing to do goes to sleep, and waking it takes as long as a call does. So
  what one caller does is timed twice: beside a process on each core that counts for ever at the lowest priority (nice
  19; it gives way to whoever has work), which keeps the cores awake, and without, as on a machine that has little to do.
  Where many work at once, there is one measurement.
- **Absolute numbers are those of one machine** (the last section); compare within a table only.
- **"plain protocol"** is the design that this library improves on: WATCH without waits between attempts, HSET and
  EXPIRE as two commands, SCAN for touch and purge.
- **Lost** are updates that were acknowledged and are not there at the end; **given up** are calls that ended with an
  error after all their attempts, so their caller knows. Both are counted over all rounds.
- **In plots** a peer has the same colour and mark everywhere; points are medians, whiskers are quartiles."""

AIMS = """\
Where one caller is timed, "measured" is with cores awake, and an aim is met when it is met in both states. Where rounds are
too wide to tell, the quartiles decide, if both are on one side of the aim. Why an aim is missed stands beside it. The
writes `hset`, `set` and `incr` are held against MULTI of the command and EXPIRE, which renews the TTL in the same step, as
they do; the bare command stands beside it under "Single calls"."""

TEXTS = {
    "memory": Text(
        "Memory",
        "Bytes by MEMORY USAGE of a session of five slots (two hashes of 5 and 8 fields, two strings of 7 and 500 bytes, a "
        "counter), once as one process wrote it, and once when three more processes have written to it: the index remembers "
        "the latest call of each for 10 minutes. Redis does not count what it keeps to expire a key, some 24 bytes, which "
        "the index costs as well. Then what the index of a session takes, on average of 400, after 20 writes to each in a mixed "
        "order, with so many requests of one process under way at any moment. One round, as little varies. To look at: "
        "what part of a session its index is, and that it does not grow with traffic.",
    ),
    "single calls": Text(
        "Single calls",
        "One thread, one connection, one call after the other, beside the bare command, and beside MULTI of the command and "
        "EXPIRE, which renews the TTL in the same step as each write of ours does. A bare HSET, HINCRBY or INCR does not; a "
        "bare SET takes the TTL along, so there the bare command does as much. `with_cas` reads a hash of ten fields and "
        "writes one; once more through a proxy that holds everything for 0.5 ms each way, as a network does, with a PING "
        "beside it. To look at: the price of TTL, index, fence and idempotence in one round trip.",
        "latency",
    ),
    "single calls, async": Text(
        "Single calls, async",
        "The same in an event loop with one task. valkey-glide works in a thread of its own, coredis shares its connection; "
        "both are made for many tasks, so see the next table as well.",
    ),
    "tasks": Text(
        "Many tasks",
        "Tasks of one event loop, each with its own session, calling `get` and `hset` in turn; everybody with default "
        "settings, but for redis.asyncio with 1,000 tasks, which needs a pool that waits (100 connections). With 100 tasks, "
        "`with_cas` too, beside the loop of redis.asyncio's documentation. To look at: how much one process gets through "
        "when many requests are under way.",
        "tasks",
    ),
    "contention": Text(
        "Contention",
        "Threads of one process that each add one to a field of a hash by read, compute, commit; on one slot, or on one of "
        "10 or 1,000 drawn at random. To look at: how much gets through when all write to one place, and at what price.",
        "contention",
    ),
    "processes": Text(
        "Processes",
        "Processes that commit to one slot as fast as they can, as the processes of a web server do to a session that is "
        "asked for often; closures that take no time, and closures that take 2 ms. Runs per commit: how often the closure "
        "ran for each commit. Slowest / fastest: the commits that the slowest process had when the fastest had made all its "
        "calls, as a share of the fastest's. To look at: who gives up, how much work is thrown away, and who starves.",
        "processes",
    ),
    "impatient callers": Text(
        "Impatient callers",
        "200 callers of one slot, over four stores (each as in a process of its own), who each give up after 100 ms: all at "
        "once; and one each 10 ms, ten of whose closures hang until their caller gives up. In the second case 190 can be "
        "served. To look at: whether a lock that a caller took with it into its end costs others theirs.",
    ),
    "touch and purge": Text(
        "Touch and purge",
        "One session of ten slots, alone and among keys of other sessions, one server for each size. A PING is a bare round "
        "trip; 1,000,000 foreign keys take a SCAN close to a second, so it has few rounds. To look at: what follows the session, and what the database.",
        "scale",
    ),
    "session mix": Text(
        "Session mix",
        "100,000 sessions of 400 to 600 bytes, chosen by a Zipf distribution; 90 % of the requests read, the others change "
        "one value. Each library is called through its own session interface, without an HTTP server, by one caller. "
        "Libraries that renew a session's TTL at each read are compared with `touch()` at each read, the others with none. "
        "Ours is a hash of which one field changes, theirs are blobs. To look at: what a request pays for its session.",
    ),
    "session mix, async": Text(
        "Session mix, async",
        "The same with the async libraries and 16 tasks; as requests overlap, losses are counted.",
    ),
    "basket": Text(
        "Basket",
        "Workers that add to one session's basket at once; each add is one request in the idiom of the library. To "
        "look at: which libraries lose what they have acknowledged. Speed without correctness is shown as such.",
    ),
    "two tabs": Text(
        "Two tabs",
        "Two requests of one browser, whole ones, each framework with our sessions (`session_store.web`) and with those that are "
        "usual there. The first has read its session and waits; the second is answered meanwhile; then the first goes on, so "
        "nothing is left to luck. Different keys: each sets one of its own. The same key: each adds one to a number; and each "
        "appends to a list where it lies: ours in a `transaction`, and once by plain assignment, which is for values that are "
        "not read to be written. A logout is lost when the browser, or who has a copy of its cookie, is logged in afterwards; a "
        "login, when the browser is not. Given up: the browser was told so, with a status of 400 or 409. To look at: what was "
        "acknowledged and is not there.",
    ),
    "web requests": Text(
        "Web requests",
        "The same shops, asked by one browser in one process, without a network or an HTTP server: its framework's work is "
        "in the time, and the same for both. Sessions of five keys. Commands are those that one request sends, counted by "
        "MONITOR; what a script does within it is not. Bytes per session: MEMORY USAGE of all keys, of a session that is "
        "logged in, the list of its owner's sessions included. To look at: what a page view costs, and what a write.",
    ),
    "conversations": Text(
        "Conversations",
        "Messages of 500 bytes as JSON, one caller and one connection: an append to a conversation of so many messages, the latest "
        "50, and an edit, where there is one. Up to 1,000 messages a conversation is made anew for each round, which appends "
        "20. HSET is not a conversation, but what one command with the same bytes costs. An append to 100,000 messages stands "
        "beside one to 100. Bytes per message: MEMORY USAGE of all keys, over the messages; Redis takes memory in steps, so a value of 513 to 640 bytes takes 640. Commands are those that one append sends; "
        "what a script does within it is not counted. To look at: what an append costs, and that it costs the same however "
        "long the conversation is.",
    ),
    "lost replies": Text(
        "Lost replies",
        "4 processes that append 250 messages each to one conversation, through a proxy that cuts the connection in place of "
        "1 % of the replies, when the server has done what it was asked. First redis-py's own retries are left as they are; then "
        "there are none, and the caller makes the call again after each error (errors), as an application would; ours with "
        "`key=`. Who has not done after 40 s ends. Doubled: messages that are there more than once. Out of order: those behind a later one of "
        "the same process. Gaps: numbers of messages that were left out. To look at: what is kept, and how often.",
    ),
    "snapshots": Text(
        "Snapshots",
        "A save and a load of a state of so many bytes, beside one SET with EX and one GET of the same; one caller. What is larger "
        "than 256 KiB takes a connection of its own, and is loaded in two calls. To look at: what turns, revisions and fences cost.",
    ),
    "channels": Text(
        "Channels",
        "An event of 20 bytes that nobody follows, beside what others do to have a log and a bell, and beside the bell alone. To "
        "look at: what numbers, leases and a log that is told at once cost.",
    ),
    "followers": Text(
        "Followers",
        "Events of 20 bytes to one follower, and to a thousand in one process that publishes as well: milliseconds from publishing to "
        "each follower. One after another: the next event is published when all have the last. Deliveries/s: events that reached "
        "followers. Pub/sub loses what nobody hears, and has no ids; XREAD keeps a connection for each follower. To look at: how soon an "
        "event is there, and how many connections that takes.",
    ),
    "reloads": Text(
        "Reloads",
        "A process generates an answer of so many events of 20 bytes, and half of it is there when the page is loaded anew: in another "
        "process, milliseconds from asking until half of the text is there, which is asked 20 times. Beside it npm's resumable-stream, which "
        "keeps the text in the generating process and sends nothing to Redis until somebody reloads; ours is in Redis, by a "
        "script for each event. To look at: the shares of the text that a reload gets after the end, and after the generating process was killed, and "
        "whether it is told (1) that it was.",
    ),
}
