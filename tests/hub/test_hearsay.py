"""What the office tells the hub about its own door: news alone, and of its own rules alone."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from dashboard.access.watchman import ENDINGS
from hub.control.door import Control, Refused, ask
from hub.processes.hearsay import DO, LONGEST, OFFICE_FACTS, Hearsay
from hub.rules.door import PACKS, load_pack


def tell(data: Path, facts: dict[str, str]) -> None:
    """As the office does."""
    assert len(list(ask(data, DO, dict(facts), timeout=5))) == 1


async def test_only_news_reach_the_core(tmp_path: Path) -> None:
    """The office says the same every ten seconds; the core hears it once, and again when it is another."""
    told: list[dict[str, str]] = []

    async def know(news: Mapping[str, str]) -> None:
        told.append(dict(news))

    async with Control(tmp_path, Hearsay(OFFICE_FACTS, know).handlers):
        for why in ("", "", "#7", "#7", "x" * 1000):
            await asyncio.to_thread(tell, tmp_path, {"audit-wrong": why})
    assert [news["audit-wrong"] for news in told] == ["", "#7", "x" * LONGEST]


async def test_other_rules_cannot_be_told(tmp_path: Path) -> None:
    """Whoever gets into the office cannot say that a disk is well."""

    async def know(_news: Mapping[str, str]) -> None:
        raise AssertionError

    async with Control(tmp_path, Hearsay(OFFICE_FACTS, know).handlers):
        with pytest.raises(Refused, match="hub-disk-low"):
            await asyncio.to_thread(tell, tmp_path, {"hub-disk-low": ""})


def test_each_fact_has_its_rule() -> None:
    """And each rule of the pack its fact."""
    assert {rule.id for rule in load_pack(PACKS / "office.toml")} == OFFICE_FACTS
    assert {rule for _, rule in ENDINGS} < OFFICE_FACTS
