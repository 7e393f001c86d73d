"""What is generated from the profiles: the editor's schema and the table of supported devices."""

import json
import tomllib
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # ships no types
import pytest

from device_profiles import schema

FOLDER = Path(schema.__file__).parent
FILES = sorted(FOLDER.glob("*/*.toml"))


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    """The schema as it is shipped."""
    return jsonschema.Draft202012Validator(json.loads(schema.SCHEMA.read_text(encoding="utf-8")))


def test_the_schema_file_is_current() -> None:
    """`python -m device_profiles.schema` was run after the last change of the types."""
    assert schema.SCHEMA.read_text(encoding="utf-8") == schema.schema_text()


def test_the_readme_table_is_current() -> None:
    """`python -m device_profiles.schema` was run after the last change of a profile."""
    assert schema.README.read_text(encoding="utf-8") == schema.readme_text()


def test_the_schema_is_a_schema() -> None:
    """Editors refuse a schema that breaks JSON Schema's own."""
    judge = jsonschema.Draft202012Validator(jsonschema.Draft202012Validator.META_SCHEMA)
    assert [error.message for error in judge.iter_errors(schema.schema())] == []
    assert not judge.is_valid({**schema.schema(), "type": "objekt"})  # the control: it does judge


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_every_profile_satisfies_the_schema(validator: jsonschema.Draft202012Validator, file: Path) -> None:
    """An editor that knows the schema marks nothing in a file that the loader takes, and the file points at it."""
    text = file.read_text(encoding="utf-8")
    assert [error.message for error in validator.iter_errors(tomllib.loads(text))] == []
    assert text.startswith("#:schema ../profile.schema.json\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("silent_after", "silent_afer"),
        ('table = "holding"', 'table = "holdings"'),
        ("address = 0", "address = 70000"),
        ('kind = "modbus"', 'kind = "modbuss"'),
        ('fault = "refused"', 'fault = "refuse"'),
        ("profile = 1", "profile = 2"),
    ],
)
def test_the_schema_marks_mistakes(validator: jsonschema.Draft202012Validator, old: str, new: str) -> None:
    """The schema is no rubber stamp: what the loader refuses by its types, an editor marks."""
    text = (FOLDER / "noise" / "generic-rs485.toml").read_text(encoding="utf-8")
    assert old in text
    assert not validator.is_valid(tomllib.loads(text.replace(old, new)))


def test_the_table_has_a_row_for_each_file_in_both_languages() -> None:
    """A product that is supported can be found in the README, by what it says and does."""
    rows = schema.supported_table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [f"{file.parent.name}/{file.stem}" for file in FILES]
    relay = next(row for row in rows if "waveshare" in row)
    for part in ("Waveshare Modbus relay, 8 channels", "微雪 8 路 Modbus 继电器", "`relay_1` … `relay_8`", "`pulse_8`"):
        assert part in relay
    assert "relay_2" not in relay


def test_writing_is_idempotent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator writes both files, keeps what people wrote around the table, and mends a stale table."""
    readme, target = tmp_path / "README.md", tmp_path / "profile.schema.json"
    readme.write_text(f"before\n{schema.BEGIN}\nstale\n{schema.END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(schema, "README", readme)
    monkeypatch.setattr(schema, "SCHEMA", target)
    schema.main()
    first = readme.read_text(encoding="utf-8")
    schema.main()
    assert readme.read_text(encoding="utf-8") == first
    assert first.startswith("before\n")
    assert first.endswith("after\n")
    assert "stale" not in first
    assert json.loads(target.read_text(encoding="utf-8")) == schema.schema()
