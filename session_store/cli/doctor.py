"""`doctor`: whether the server, its settings and its user are as the library needs them."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import click
import redis
from redis.exceptions import ResponseError

from session_store._core import scripts
from session_store.cli.findings import Finding, Node, asked, said_by, text_of
from session_store.cli.place import Place
from session_store.cli.rights import lacking
from session_store.cli.screen import Screen, padded
from session_store.cli.words import counted, number, shown, size

_OLDEST = (6, 2)
_MOST_SKEW, _LEAST_SKEW = 2.0, 0.1  # seconds
_MARKS = {"ok": "green", "note": "cyan", "warn": "yellow", "fail": "red"}
_INDENT = 24


def show_health(place: Place, screen: Screen, min_replicas: int | None, *, has_prefix: bool) -> None:
    """Says what each check has found. Exits with 1 where one has failed."""
    url = click.get_current_context().ensure_object(dict).get("url") or "redis://"
    nodes = [asked(client) for client in place.nodes()]
    findings = [
        *_versions(nodes),
        *_memory(nodes),
        *_scripts(nodes),
        *_rights(place, has_prefix=has_prefix),
        *_topology(place, nodes),
        *_replicas(nodes, min_replicas),
        *_clocks(nodes),
        *_connections(nodes, url),
    ]
    failed = sum(each.status == "fail" for each in findings)
    if screen.as_json:
        data = [each._asdict() for each in findings]
        screen.data({"server": place.url, "is_healthy": not failed, "checks": data})
    else:
        screen.line(screen.paint(f"{place.url}{f', prefix {place.prefix}' if has_prefix else ''}", bold=True))
        for each in findings:
            _say(each, screen)
        warned = sum(each.status == "warn" for each in findings)
        screen.line()
        screen.line(f"{counted(failed, 'check')} failed, {counted(warned, 'warning')}")
    if failed:
        raise click.exceptions.Exit(1)


def _say(finding: Finding, screen: Screen) -> None:
    mark = screen.paint(padded(finding.status, 4), fg=_MARKS[finding.status], bold=finding.status == "fail")
    texts = [finding.text, *([finding.advice] if finding.advice else [])]
    room = max(screen.width - _INDENT, 40) if screen.width else 10_000
    lines = [line for text in texts for line in textwrap.wrap(text, room)]
    screen.line(f"{mark}  {padded(finding.check, _INDENT - 8)}  {lines[0]}")
    for line in lines[1:]:
        screen.line(" " * _INDENT + line)


def _versions(nodes: list[Node]) -> Iterator[Finding]:
    if not all(node.info for node in nodes):
        yield Finding("server", "note", "its version, memory and replicas may not be asked for (INFO)")
        return

    def named(node: Node) -> str:
        own = node.info.get("valkey_version")
        return f"Valkey {own}" if own else f"Redis {node.info['redis_version']}"

    old = any(tuple(map(int, str(node.info["redis_version"]).split(".")[:2])) < _OLDEST for node in nodes)
    text = f"{shown(said_by(nodes, named))}; redis-py {redis.__version__}"
    yield Finding("server", "fail" if old else "ok", text, "Redis 6.2 or later is needed" if old else "")


def _memory(nodes: list[Node]) -> Iterator[Finding]:
    if all(node.config or node.info for node in nodes):
        policies = {node.config.get("maxmemory-policy") or node.info.get("maxmemory_policy", "?") for node in nodes}
        text = said_by(
            nodes, lambda node: node.config.get("maxmemory-policy") or node.info.get("maxmemory_policy", "?")
        )
        evicts = policies - {"noeviction"}
        yield Finding(
            *("maxmemory-policy", "warn" if evicts else "ok", shown(text)),
            "noeviction loses no session, index or fence; with another, touch sessions on every page view"
            if evicts
            else "",
        )
    if all(node.info for node in nodes):
        used = sum(int(node.info["used_memory"]) for node in nodes)
        limits = [int(node.info.get("maxmemory") or 0) for node in nodes]
        most = sum(limits) if all(limits) else 0
        full = bool(most) and used > 0.9 * most
        yield Finding(
            *(
                "memory",
                "warn" if full else "ok",
                f"{size(used)} of {size(most)}" if most else f"{size(used)}, and no limit (maxmemory 0)",
            ),
            "writes are soon refused, or keys evicted: make room" if full else "",
        )
        evicted = sum(int(node.info.get("evicted_keys") or 0) for node in nodes)
        yield Finding(
            *("evicted", "warn" if evicted else "ok", f"{counted(evicted, 'key')} since the server was started"),
            "sessions may have been among them: give it memory, or noeviction" if evicted else "",
        )


def _scripts(nodes: list[Node]) -> Iterator[Finding]:
    from session_store.channels._core import records as _channels  # noqa: F401  # whose scripts are then known
    from session_store.conversations._core import records as _conversations  # noqa: F401
    from session_store.snapshots._core import records as _snapshots  # noqa: F401
    from session_store.web._core import records as _web  # noqa: F401

    digests = sorted({script.digest for script in scripts.known.values()})
    try:
        there = [sum(map(bool, node.client.script_exists(*digests))) for node in nodes]
    except ResponseError:
        there = []
    if not there and not all(node.info for node in nodes):
        yield Finding("script cache", "note", "it may not be asked for (SCRIPT EXISTS, INFO)")
        return
    known = f"{max(there)} of this library's {len(digests)}" if there else "an unknown number of this library's"
    cached = [int(node.info.get("number_of_cached_scripts") or 0) for node in nodes]
    held = sum(int(node.info.get("used_memory_scripts") or 0) for node in nodes)
    many = max(cached, default=0) > 10_000
    yield Finding(
        *("script cache", "warn" if many else "ok"),
        f"{known} are loaded (each is when it is first used), {max(cached, default=0):,} in all, {size(held)}",
        "some program makes scripts of its arguments, and fills the memory: SCRIPT FLUSH, and mend it" if many else "",
    )


def _rights(place: Place, *, has_prefix: bool) -> Iterator[Finding]:
    lacks = lacking(place, has_prefix=has_prefix)
    if not has_prefix:
        yield Finding(
            "rights", "note", "whether keys and channels of the prefix are allowed is not looked at: give --prefix"
        )
    for lack in lacks:
        yield Finding(
            *("rights", "fail" if lack.is_vital else "warn"),
            f"for {lack.what} the user lacks {' '.join(lack.rights)}",
            f"ACL SETUSER <user> {' '.join(lack.rights)}" if lack.is_vital else "",
        )
    if not lacks:
        yield Finding("rights", "ok", "the user may do all that the library, its layers and this command do")


def _topology(place: Place, nodes: list[Node]) -> Iterator[Finding]:
    if not place.is_cluster:
        tags = (
            "hash tags are on"
            if place.keyspace.hash_tags
            else "no hash tags: keys would have to be moved to go to a cluster"
        )
        yield Finding("cluster", "ok", f"none; {tags}")
        return
    states = [_state(node) for node in nodes]
    down = "down" in states
    yield Finding(
        *("cluster", "fail" if down else "ok"),
        f"{counted(len(nodes), 'primary', 'primaries')}, state {', '.join(sorted(set(states)))}; namespaces are hash tags",
        "hash slots have no server: see CLUSTER NODES" if down else "",
    )


def _state(node: Node) -> str:
    try:
        said = node.client.execute_command("CLUSTER INFO")
    except ResponseError:
        return "?"
    text = str(said.get("cluster_state")) if isinstance(said, dict) else text_of(said)
    return "ok" if text == "ok" or "cluster_state:ok" in text else "down"


def _replicas(nodes: list[Node], least: int | None) -> Iterator[Finding]:
    infos = [node.info for node in nodes]
    if not all(infos):
        return
    if any(info.get("role") == "slave" for info in infos):
        yield Finding("role", "fail", "a replica", "nothing can be written to it: give the URL of the primary")
        return
    online = [
        sum(
            isinstance(said, dict) and said.get("state") == "online"
            for name, said in info.items()
            if name.startswith("slave")
        )
        for info in infos
    ]
    fewest = min(online)
    text = f"{counted(fewest, 'replica')} online" + (", of the primary that has the fewest" if len(nodes) > 1 else "")
    if least is None:
        yield Finding("replicas", "ok", f"{text}: min_replicas may be up to {fewest}")
    else:
        few = fewest < least
        advice = f"commits wait, and raise ReplicationError: {least} are wanted" if few else ""
        yield Finding("replicas", "fail" if few else "ok", f"{text}; min_replicas is {least}", advice)


def _clocks(nodes: list[Node]) -> Iterator[Finding]:
    skews = []
    try:
        for node in nodes:
            began = time.time()
            seconds, micros = node.client.time()
            skews.append(seconds + micros / 1e6 - (began + time.time()) / 2)
    except ResponseError:
        return  # the rights tell
    worst = max(skews, key=abs)
    far = abs(worst) > _MOST_SKEW
    text = f"the server's is {abs(worst):.1f} s {'ahead of' if worst > 0 else 'behind'} this machine's"
    if abs(worst) < _LEAST_SKEW:
        text = f"the server's and this machine's agree to {_LEAST_SKEW} s"
    yield Finding(
        "clock",
        "warn" if far else "ok",
        text,
        "fences, lifetimes and times are by the server's: set one of them right" if far else "",
    )


def _connections(nodes: list[Node], url: str) -> Iterator[Finding]:
    given = parse_qs(urlsplit(url).query)
    timeouts = [name for name in ("socket_timeout", "socket_connect_timeout") if name not in given]
    if timeouts:
        advice = "older versions of redis-py wait for ever; this command has taken 5 and 30 s for itself"
        yield Finding("timeouts", "note", f"the URL sets no {' and no '.join(timeouts)}: does the application?", advice)
    else:
        yield Finding(
            "timeouts",
            "ok",
            ", ".join(f"{name} {shown(given[name][0])} s" for name in ("socket_timeout", "socket_connect_timeout")),
        )
    for node in nodes:
        idle = number(node.config.get("timeout")) or 0
        if idle and "health_check_interval" not in given:
            advice = "health_check_interval below that keeps calls from meeting a connection that was cut"
            yield Finding("idle", "warn", f"{node.name} cuts connections that are idle for {idle} s", advice)
        most, now = (
            number(node.config.get("maxclients") or node.info.get("maxclients")),
            node.info.get("connected_clients"),
        )
        if most and now is not None:
            many = int(now) > 0.8 * most
            advice = "max_connections of all processes together must fit maxclients" if many else ""
            where = f" ({node.name})" if len(nodes) > 1 else ""
            yield Finding(
                "connections",
                "warn" if many else "ok",
                f"{int(now):,} of {most:,} that may be (maxclients){where}",
                advice,
            )
