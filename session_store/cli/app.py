"""The commands: what they take, and what they end with."""

from __future__ import annotations

import sys
from typing import Any

import click

from session_store.cli import listing, showing
from session_store.cli.ending import end_each, names_given, touch_each
from session_store.cli.options import (
    DEFAULT_URL,
    Options,
    Program,
    a_choice,
    a_place,
    a_screen,
    a_selection,
    check_names,
    duration_of,
    selecting,
)
from session_store.cli.place import UNREACHABLE, explain, without_password
from session_store.cli.screen import Left
from session_store.cli.words import shown
from session_store.errors import SessionStoreError

_INTERRUPTED = 130  # as shells say it of what SIGINT has ended


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """Look at what session_store keeps in Redis, and end it.

    Values are shown by `show --values` alone. Exit status: 0; 1, nothing was found, or a check failed; 2, it could not run; 130,
    Ctrl-C.
    """


@cli.command("list")
@selecting(kinds=True)
@click.option("--names", "only_names", is_flag=True, help="Nothing but names, one a line, for `end -`.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most so many.")
def list_(only_names: bool, limit: int | None, **options: Any) -> None:  # noqa: FBT001  # click's
    """The namespaces that live."""
    selection = a_selection(**options)
    place, screen = a_place(), a_screen()
    if selection.namespace is not None and not selection.is_glob:
        check_names(place, (selection.namespace,))
    listing.show_list(place, selection, screen, only_names=only_names, limit=limit)


@cli.command()
@selecting(kinds=True)
def count(**options: Any) -> None:
    """How many namespaces live."""
    selection = a_selection(**options)
    place, screen = a_place(), a_screen()
    listing.show_count(place, selection, screen)


@cli.command()
@click.argument("name")
@click.option("--values", "with_values", is_flag=True, help="What is in the slots, too: what users have stored.")
def show(name: str, with_values: bool) -> None:  # noqa: FBT001  # click's
    """What one namespace holds: slots, kinds, TTLs, sizes."""
    place, screen = a_place(), a_screen()
    check_names(place, (name,))
    showing.show_one(place, name, screen, with_values=with_values)


@cli.command()
@click.argument("name")
@click.option(
    "--for",
    "seconds",
    type=duration_of,
    default=600.0,
    metavar="TIME",
    help="Ends after so long; 10m where nothing is said.",
)
@click.option("--count", "most", type=click.IntRange(1), metavar="N", help="Ends after so many changes.")
@click.option(
    "--interval",
    type=duration_of,
    default=1.0,
    metavar="TIME",
    help="Looks so often; 1s where nothing is said, at least 100ms.",
)
def follow(name: str, seconds: float, most: int | None, interval: float) -> None:
    """What changes in a namespace, as it happens."""
    from session_store.cli.following import follow_one

    place, screen = a_place(), a_screen()
    check_names(place, (name,))
    follow_one(place, name, screen, seconds=seconds, most=most, interval=max(0.1, interval))


@cli.command()
@click.argument("names", nargs=-1)
@selecting(kinds=False)
@click.option(
    "--fence",
    type=duration_of,
    default=60.0,
    metavar="TIME",
    help="Refuse writes for so long, so that a slow request brings nothing back; 60s where nothing is said, 0 for none.",
)
@click.option("--dry-run", is_flag=True, help="Says what would be ended, and ends nothing.")
def end(names: tuple[str, ...], fence: float, dry_run: bool, **options: Any) -> None:  # noqa: FBT001  # click's
    """End namespaces, with all their slots. `-` reads names, one a line."""
    selection = a_choice(names, **options)
    place, screen = a_place(), a_screen()
    given = names_given(names)
    check_names(place, given)
    end_each(place, screen, given, selection, fence=fence or None, dry_run=dry_run)


@cli.command()
@click.argument("names", nargs=-1)
@selecting(kinds=False)
@click.option("--ttl", type=duration_of, required=True, metavar="TIME", help="How long each slot lives from now on.")
def touch(names: tuple[str, ...], ttl: float, **options: Any) -> None:
    """Have all slots of namespaces live on. `-` reads names, one a line."""
    selection = a_choice(names, **options)
    if ttl < 0.001:
        raise click.UsageError("--ttl must be at least 1ms: `end` ends a namespace")
    place, screen = a_place(), a_screen()
    given = names_given(names)
    check_names(place, given)
    touch_each(place, screen, given, selection, ttl=ttl)


@cli.command()
@click.option(
    "--sample",
    type=click.IntRange(1),
    default=1_000,
    metavar="N",
    help="So many namespaces are looked at closely; 1,000 where nothing is said.",
)
def stats(sample: int) -> None:
    """How much there is, of what, and how old."""
    from session_store.cli.sampling import show_stats

    show_stats(a_place(), a_screen(), sample)


@cli.command()
@click.option("--min-replicas", type=click.IntRange(0), metavar="N", help="What the store has as min_replicas.")
def doctor(min_replicas: int | None) -> None:
    """Whether the server and its user are as the store needs them. Changes nothing."""
    from session_store.cli.doctor import show_health

    has_prefix = click.get_current_context().ensure_object(dict).get("prefix") is not None
    show_health(a_place(needs_prefix=False), a_screen(), min_replicas, has_prefix=has_prefix)


@cli.command()
@click.option(
    "--redis-url", metavar="URL", help="The server to run on; in memory where none is given, whatever --url says."
)
def demo(redis_url: str | None) -> None:
    """Two tabs and a webhook write to one basket, three ways."""
    from session_store.demo import main

    arguments = ["demo", *(["--redis-url", redis_url] if redis_url else [])]
    if click.get_current_context().ensure_object(dict).get("as_json"):
        arguments.append("--json")
    raise click.exceptions.Exit(main(arguments))


def run(words: list[str]) -> int:
    """Runs the command line. Returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal's encoding has not
    options: Options = {}
    try:
        if not words:
            click.echo(click.Context(cli, info_name="session-store", **cli.context_settings).get_help(), err=True)
            return 2
        result = cli.main(words, prog_name="session-store", standalone_mode=False, obj=options)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except Left as left:
        return left.status
    except (click.ClickException, SessionStoreError, *UNREACHABLE) as error:
        return _fail(error, without_password(options.get("url") or DEFAULT_URL))


def _fail(error: Exception, url: str) -> int:
    """Says in a line what was wrong."""
    status = error.exit_code if isinstance(error, click.ClickException) else 2
    if isinstance(error, click.UsageError):
        of = error.ctx.command_path if error.ctx is not None else "session-store"
        behind = "; a name with a dash at its beginning goes behind --" if isinstance(error, click.NoSuchOption) else ""
        text = f"{shown(error.format_message())} ({of} --help{behind})"
    elif isinstance(error, click.ClickException):
        text = error.format_message()
    else:
        text = shown(str(error)) if isinstance(error, SessionStoreError) else explain(error, url)
    print(f"session-store: {text}", file=sys.stderr)  # noqa: T201  # to the user
    return status
