"""What the office process has found out about its own door, told through the field process's: answers of `self` rules.

Only rules that are meant for it can be told so. It carries; what they mean stands in hub/rules/office.toml.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from hub.control.door import Handler, Refused, Said

DO = "office-facts"
LONGEST = 200
OFFICE_FACTS = frozenset(
    {"login-guessing", "audit-wrong", "certificate-ends", "certificate-ends-soon", "certificate-ends-now"}
)


class Hearsay:
    """Takes facts again and again, and passes on what is new."""

    def __init__(self, known: frozenset[str], know: Callable[[Mapping[str, str]], Awaitable[None]]) -> None:
        """`known`: the rules that may be told; `know`: to the core."""
        self._known, self._know = known, know
        self._told: dict[str, str] = {}

    @property
    def handlers(self) -> dict[str, Handler]:
        """For the door."""
        return {DO: self._answer}

    async def _answer(self, said: Said) -> AsyncIterator[Said]:
        facts = {str(rule): str(why)[:LONGEST] for rule, why in said.items()}
        if strange := sorted(facts.keys() - self._known):
            raise Refused(f"the office does not know of {', '.join(strange)}")
        news = {rule: why for rule, why in facts.items() if self._told.get(rule) != why}
        if news:
            await self._know(news)
            self._told |= news
        yield {"told": len(news)}
