"""The options that commands share, and what they come to."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from session_store._core.directories import check_name
from session_store.cli.looks import KINDS
from session_store.cli.place import Place, connect
from session_store.cli.screen import Screen
from session_store.cli.selection import Selection
from session_store.cli.words import seconds_of, shown

DEFAULT_URL = "redis://localhost:6379"
_SHORTEST, _LONGEST = 0.001, 864_000_000.0  # seconds
_SESSION_ID = re.compile("-[A-Za-z0-9_-]{21}")  # no option is as long
Options = dict[str, Any]


def duration_of(text: str | float) -> float:
    """A duration, as people write it."""
    try:
        seconds = seconds_of(str(text))
    except ValueError as error:
        raise click.BadParameter(f"{shown(str(text))!r}: {error}") from None
    if seconds and not _SHORTEST <= seconds <= _LONGEST:
        raise click.BadParameter("must be from 1ms to 10,000 days")
    return seconds


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """What was given behind the command's name counts, where nothing was, what was given before it, or the environment."""
    if param.name is not None and value not in (None, False):
        ctx.ensure_object(dict)[param.name] = value
    elif param.name == "cluster" and value is False:
        ctx.ensure_object(dict)["cluster"] = False
    return value


def _globals(*, outer: bool) -> list[click.Option]:
    """The options of every command; they may stand before its name, too."""

    def option(*names: str, **settings: Any) -> click.Option:
        return click.Option(names, expose_value=False, callback=_keep, **settings)

    environment = {"show_envvar": True} if outer else {}
    return [
        option(
            *("--url", "url"),
            metavar="URL",
            help=f"The server; {DEFAULT_URL} where none is given.",
            **({"envvar": "SESSION_STORE_URL", **environment} if outer else {}),
        ),
        option(
            *("--prefix", "prefix"),
            metavar="PREFIX",
            help="The store's prefix.",
            **({"envvar": "SESSION_STORE_PREFIX", **environment} if outer else {}),
        ),
        option(
            "--cluster/--no-cluster", "cluster", default=None, help="It is a cluster, or not; else the server is asked."
        ),
        option(
            "--hash-tags",
            "hash_tags",
            is_flag=True,
            help="The store has hash_tags=True on a server that is no cluster.",
        ),
        option("--json", "as_json", is_flag=True, help="Says everything as JSON."),
    ]


class Command(click.Command):
    """A command with the options of every one."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.params += _globals(outer=False)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As ever, but that a session's id is a name, though one in 64 begins with a dash."""
        if not any(isinstance(param, click.Argument) for param in self.params):
            return super().parse_args(ctx, args)
        takes = {
            name for each in self.params if isinstance(each, click.Option) and not each.is_flag for name in each.opts
        }
        end = args.index("--") if "--" in args else len(args)
        ids = [at for at in range(end) if _SESSION_ID.fullmatch(args[at]) and (at == 0 or args[at - 1] not in takes)]
        if not ids:
            return super().parse_args(ctx, args)
        before = [args[at] for at in range(end) if at not in ids]
        return super().parse_args(ctx, [*before, "--", *(args[at] for at in ids), *args[end + 1 :]])


class Program(click.Group):
    """All of them."""

    command_class = Command

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.params += _globals(outer=True)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which somebody needs them."""
        return list(self.commands)


def a_place(*, needs_prefix: bool = True) -> Place:
    """The server that the options say. Raises `Trouble`."""
    options: Options = click.get_current_context().ensure_object(dict)
    prefix = options.get("prefix")
    if prefix is None and needs_prefix:
        raise click.UsageError("which prefix? --prefix, or SESSION_STORE_PREFIX")
    place = connect(
        options.get("url") or DEFAULT_URL,
        "session-store" if prefix is None else prefix,
        cluster=options.get("cluster"),
        hash_tags=bool(options.get("hash_tags")),
    )
    click.get_current_context().call_on_close(place.client.close)
    return place


def a_screen() -> Screen:
    """Where the command's output goes; shown, and left by the pager, when the command has ended."""
    screen = Screen(as_json=bool(click.get_current_context().ensure_object(dict).get("as_json")))
    click.get_current_context().call_on_close(screen.close)
    return screen


def check_names(place: Place, names: tuple[str, ...]) -> None:
    """Refuses what is no name, before anything is done."""
    for name in names:
        place.store.namespace(name)


def selecting(*, kinds: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options that say which namespaces are meant."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        options = [
            click.option(
                "--owner",
                metavar="OWNER",
                help="Those of this user, by the directories of web sessions, conversations and snapshots.",
            ),
            click.option(
                "--directory",
                "directories",
                metavar="NAME",
                multiple=True,
                help="Look for the owner in this directory instead; may be repeated.",
            ),
        ]
        if kinds:
            options += [
                click.option("--namespace", metavar="NAME", help="The one of this name, as it stands."),
                click.option(
                    "--glob",
                    "is_glob",
                    is_flag=True,
                    help="NAME is a pattern: * ? [a-z]; a backslash before one that is meant itself.",
                ),
                click.option(
                    "--kind",
                    "kinds",
                    type=click.Choice(KINDS),
                    multiple=True,
                    help="Those of this layer; may be repeated.",
                ),
                click.option(
                    "--older-than",
                    type=duration_of,
                    metavar="TIME",
                    help="Those to which nothing was written for so long: 90s, 15m, 2d.",
                ),
            ]
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def a_selection(**options: Any) -> Selection:
    """Which namespaces the options say."""
    selection = Selection(**options)
    if selection.owner is not None and selection.namespace is not None:
        raise click.UsageError("--owner and --namespace: give one of them")
    if selection.directories and selection.owner is None:
        raise click.UsageError("--directory says where an owner is looked for: give --owner as well")
    try:
        list(map(check_name, selection.directories))
    except ValueError as error:
        raise click.UsageError(f"--directory: {error}") from None
    if selection.is_glob and selection.namespace is None:
        raise click.UsageError("--glob says how --namespace is read: give that as well")
    return selection


def a_choice(names: tuple[str, ...], **options: Any) -> Selection:
    """The same, where names may be given instead."""
    selection = a_selection(**options)
    if bool(names) == (selection.owner is not None):
        raise click.UsageError("which ones? names, or - to read them, or --owner")
    return selection
