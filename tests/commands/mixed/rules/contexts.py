"""Searches with UPDATE: the results are kept up to date by ADDTO and REMOVEFROM (RFC 5267)."""

import hypothesis.strategies as st
from hypothesis.stateful import rule
from tests.commands.mixed.client import LiveResult
from tests.commands.mixed.machine import anyone
from tests.commands.mixed.rules.reading import keys
from tests.commands.mixed.rules.sessions import SessionRules

SEARCHES_MAX = 3
"""Of a client; the server has a limit."""


class ContextRules(SessionRules):
    @rule(number=anyone, key=keys, uid=st.booleans())
    def search_with_update(self, number, key, uid):
        client = self.pick_selected(number)
        if client is not None:
            self.watch(
                client,
                f"SEARCH RETURN (ALL UPDATE) {key}",
                lambda: self.matches(client, key, client.counted),
                ordered=False,
                uid=uid,
            )

    @rule(number=anyone, key=keys, reverse=st.booleans(), uid=st.booleans())
    def sort_with_update(self, number, key, reverse, uid):
        """Sort by size; messages of one size by number (RFC 5256 section 3)."""
        client = self.pick_selected(number)
        if client is None:
            return
        sign = -1 if reverse else 1

        def expected():
            found = self.matches(client, key, client.counted)
            messages = client.picture.messages
            return sorted(found, key=lambda uid: (sign * messages[uid].size, uid))

        program = f"{'REVERSE ' * reverse}SIZE) UTF-8 {key}"
        self.watch(client, f"SORT RETURN (ALL UPDATE) ({program}", expected, ordered=True, uid=uid)

    def watch(self, client, search, expected, *, ordered, uid):
        uid = uid or client.kind.uidonly
        while len(client.live) >= SEARCHES_MAX:
            self.cancel(client, next(iter(client.live)))
        client.live[f"a{self.tags + 1}"] = LiveResult(expected, ordered, uid)
        self.command(client, "SEARCH", f"{'UID ' * uid}{search}", holds=not uid, uid=uid)

    @rule(number=anyone)
    def cancel_update(self, number):
        client = self.pick(number)
        if client.live:
            self.cancel(client, next(iter(client.live)))

    def cancel(self, client, tag):
        del client.live[tag]
        self.command(client, "CANCELUPDATE", f'CANCELUPDATE "{tag}"')
