"""pytest loads the plugin in everybody's runs: it must weigh nothing, need nothing, and explain itself."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.long

pytest_plugins = ["pytester"]

# What `pytest` has today, and did not have in 6.2: whoever names one of these when the plugin loads breaks old runs.
NEWER_THAN_6_2 = (
    "CallInfo CollectReport Config Dir Directory ExceptionInfo FixtureDef HIDDEN_PARAM LineMatcher Mark MarkDecorator "
    "MarkGenerator Metafunc OptionGroup Parser PytestPluginManager RaisesExc RaisesGroup RunResult Stash StashKey "
    "TerminalReporter TestReport TestShortLogReport version_tuple"
)


def test_loading_it_loads_nothing_heavy(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that uses no fixture of ours imports neither redis-py nor a part of the library."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # others may import what they like
    result = run(
        """
        import sys

        def test_modules(request):
            assert request.config.pluginmanager.has_plugin("session_store.testing.plugin")
            assert not {"asyncio", "fakeredis", "hypothesis", "redis", "structlog"} & set(sys.modules)
            ours = {name for name in sys.modules if name.split(".")[0] == "session_store"}
            lazy = {"session_store._core", "session_store._core.lazy"}  # what loads all else on first use
            assert ours == {"session_store", "session_store.testing", "session_store.testing.plugin", *lazy}
        """,
        *("-p", "session_store.testing.plugin"),
        plugins=(),
    )
    result.assert_outcomes(passed=1)


def test_beside_an_old_pytest(run: Any, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has pytest 6 has runs as before, and fixtures that work."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(old=f"import pytest\nfor name in {NEWER_THAN_6_2!r}.split(): vars(pytest).pop(name, None)\n")
    result = run(
        """
        import pytest

        def add(ns):
            ns.hincrby("basket", "tea")

        def test_other():
            assert not hasattr(pytest, "StashKey")

        @pytest.mark.interleavings({"tab one": add, "tab two": add})
        def test_ours(namespace, async_namespace, interleavings):
            assert namespace.slots() == []
            assert interleavings.complete
        """,
        *("-p", "old", "-p", "session_store.testing.plugin"),
        plugins=(),
    )
    result.assert_outcomes(passed=2)


def test_without_the_extra(run: Any) -> None:
    """Where fakeredis is missing, other tests run as ever, and a fixture says what to install."""
    result = run(
        """
        def test_other():
            pass

        def test_sync(namespace):
            pass

        def test_async(async_namespace):
            pass
        """,
        conftest="import sys\nsys.modules['fakeredis'] = None\n",
    )
    result.assert_outcomes(passed=1, errors=2)
    needs = (
        "E *ImportError: session_store.testing.*InMemoryClient needs fakeredis: pip install 'session-store[[]testing]'"
    )
    result.stdout.fnmatch_lines([needs, needs])


def test_without_the_extra_on_a_server(run: Any, server: Any) -> None:
    """On a server, fakeredis is not needed at all."""
    result = run(
        "def test_sync(namespace, async_namespace): assert namespace.slots() == []",
        *("--session-store-url", server.url),
        conftest="import sys\nsys.modules['fakeredis'] = None\n",
    )
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (
            "--help",
            ["session-store:", "  --session-store-url=URL", "*run the fixtures of session-store on this Redis*"],
        ),
        ("--markers", ["@pytest.mark.interleavings(tasks, *, setup=None, *): explore these tasks with *"]),
        (
            "--fixtures",
            [
                "session_store_client -- *",
                "async_session_store_client -- *",
                "session_store -- *",
                "    A `SessionStore` in memory, fresh for every test, or on the server of --session-store-url.",
                "async_session_store -- *",
                "namespace -- *",
                "async_namespace -- *",
                "interleavings -- *",
                "session_store_options -- *",
                "    Settings of the stores, by name (codec, default_ttl, logger, ...): override this fixture*",
            ],
        ),
    ],
)
def test_pytest_shows_what_there_is(run: Any, option: str, expected: list[str]) -> None:
    """`pytest --help`, `--markers` and `--fixtures` list the option, the marker and the fixtures, with a line on each."""
    result = run("", option)
    assert result.ret in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    result.stdout.fnmatch_lines(expected)


def test_pytest_does_not_warn_of_a_package_that_was_imported_before() -> None:
    """As an installed distribution with a plugin, it would be one whose assertions are to be rewritten."""
    from _pytest.assertion.rewrite import AssertionRewriter

    import session_store

    assert AssertionRewriter.is_rewrite_disabled(session_store.__doc__ or "")
