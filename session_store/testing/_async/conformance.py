"""The conformance suite: what a client must do for the store to keep its promises."""

from __future__ import annotations

from session_store.testing._async.expiry import AsyncExpiryRules
from session_store.testing._async.marking import AsyncMarkRules
from session_store.testing._async.promises import AsyncStorePromises
from session_store.testing._async.replies import AsyncReplyRules
from session_store.testing._async.scripting import AsyncScriptRules


class AsyncClientConformance(AsyncReplyRules, AsyncExpiryRules, AsyncScriptRules, AsyncMarkRules, AsyncStorePromises):
    """Tests of a client of a special kind: whether a store keeps its promises on it.

    For whoever has a client that redis-py or this library did not make: a subclass, a Sentinel or cluster client, one
    that reaches its server through a proxy or a managed service, another fake. Derive a class from this one in a test
    module and say how a client is made:

        class TestTracingClient(AsyncClientConformance):
            def make_client(self):
                return TracingRedis(host="localhost", port=6379)

    pytest collects that as it stands, for an async client too: every test is a plain method that takes no arguments
    (an async one runs in an event loop of its own), so that no plugin is needed. With `unittest.TestCase` as a second
    base, unittest runs it as well. A test that fails says what the client must do, what it did, and which promise of
    the store is broken by that. To run all tests for several kinds of clients, derive a class for each, or let a
    fixture choose:

        @pytest.fixture(autouse=True, params=[2, 3])
        def choose(self, request):
            self.protocol = request.param

        def make_client(self):
            return TracingRedis(protocol=self.protocol)

    The tests need a server that others may use at the same time, but not one in production: some of them scan the
    database.
    All keys begin with `conformance-` and a random name and are removed at the end of the test; no other key is touched.
    A client should have a socket timeout, since one that is broken may wait for a reply that never comes. It is asked
    for up to 6 connections at once. The whole suite takes about a second; a test waits for an expiry of a tenth of it.

    A test that does not apply, by a decision of yours, is left out with `test_name = None` in the derived class.

    >>> from session_store.testing import AsyncClientConformance, AsyncInMemoryClient
    >>> class TestMyClient(AsyncClientConformance):
    ...     first = AsyncInMemoryClient()
    ...
    ...     def make_client(self) -> AsyncInMemoryClient:
    ...         return self.first.sibling()
    >>> TestMyClient().test_a_mark_changes_with_what_a_key_holds()
    """
