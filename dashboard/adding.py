"""The form by which a device is added, made from its profile: its fields with their limits, and back into a table.

What it makes is the [[link.device]] of the site file. Whether that is right as a whole is judged by the running hub.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import inspect

from dashboard.language.i18n import gettext
from dashboard.language.option_words import EXPERT, OPTIONS
from device_profiles.load import profiles
from device_profiles.types import ModbusLink, Profile
from hub.settings.door import MOST_ID
from hub.settings.site import DEVICE_KIND, ModbusLine, Site, SiteLink

LINE = {"baud", "parity", "stop_bits"}  # of the link, where several share one line
LONGEST = 120
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One option of the profile's [link]. `kind`: whole | number | text | choice; `usual`: where it is left out."""

    name: str
    kind: str
    usual: str
    label: str
    help: str
    choices: tuple[str, ...] = ()
    least: float | None = None
    above: float | None = None
    most: float | None = None
    expert: bool = False


def fitting(link: SiteLink) -> dict[str, Profile]:
    """The profiles whose devices can hang on this link, by id."""
    kind = DEVICE_KIND[str(type(link).__struct_config__.tag)]
    return {name: profile for name, profile in sorted(profiles().items()) if kind == profile.KIND}


def fields(profile: Profile, link: SiteLink) -> list[Field]:
    """What the form asks beside id, names and zone."""
    shared = LINE if isinstance(link, ModbusLine) else set()
    found = msgspec.structs.fields(type(profile.link))
    types = {each.name: each.type for each in inspect.type_info(type(profile.link)).fields}  # type: ignore[attr-defined]  # of a struct
    return [_field(each.name, types[each.name], profile) for each in found if each.name not in shared]


def free_unit(link: SiteLink) -> int:
    """The lowest unit number that nobody on the line has."""
    taken = {device.options.unit for device in link.devices if isinstance(device.options, ModbusLink)}
    return next(number for number in range(1, 249) if number not in taken)


def table_of(
    form: Mapping[str, str], profile: Profile, link: SiteLink, site: Site
) -> tuple[dict[str, object], list[str]]:
    """The [[link.device]] that the form means, and what is wrong with it, in words."""
    table: dict[str, object] = {"id": form.get("id", "").strip(), "profile": profile.id}
    wrong = list(_wrong_id(str(table["id"]), site))
    if zone := form.get("zone", ""):
        table["zone"] = zone
        if zone not in site.zones_by_id():
            wrong.append(gettext("There is no such zone."))
    names = {language: form.get(f"name_{language}", "").strip()[:LONGEST] for language in ("zh", "en")}
    if any(names.values()):
        table["name"] = {language: name or next(filter(None, names.values())) for language, name in names.items()}
    for field in fields(profile, link):
        given = form.get(field.name, field.usual).strip()
        if given == field.usual and field.name != "unit":
            continue
        value, problem = _value(field, given)
        table[field.name] = value
        wrong += [problem] if problem else []
    if isinstance(profile.link, ModbusLink) and not wrong:
        wrong += _wrong_unit(table, link)
    return table, wrong


def _field(name: str, info: inspect.Type, profile: Profile) -> Field:
    usual = getattr(profile.link, name)
    label, about = OPTIONS.get(name, (name, ""))
    options = info.types if isinstance(info, inspect.UnionType) else (info,)
    kind = next(option for option in options if not isinstance(option, inspect.NoneType))
    limits: dict[str, Any] = {}  # Any: as the struct's fields
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        limits = {"least": kind.ge, "above": kind.gt, "most": kind.le}
    if isinstance(kind, inspect.LiteralType):
        limits = {"choices": tuple(str(value) for value in kind.values)}
    return Field(
        name=name,
        kind=_kind(kind),
        usual="" if usual is None else f"{usual:g}" if isinstance(usual, float) else str(usual),
        label=str(label),
        help=str(about),
        expert=name in EXPERT,
        **limits,
    )


def _kind(kind: inspect.Type) -> str:
    match kind:
        case inspect.IntType():
            return "whole"
        case inspect.FloatType():
            return "number"
        case inspect.LiteralType():
            return "choice"
    return "text"


def _value(field: Field, given: str) -> tuple[object, str]:
    """What was given as the option's own type; what is wrong with it, in words."""
    if field.kind == "text":
        return given[:LONGEST], ""
    if field.kind == "choice":
        fits = given in field.choices
        value: object = int(given) if fits and given.isdecimal() else given
        return value, "" if fits else _said(field, gettext("one of %(words)s", words=", ".join(field.choices)))
    try:
        number = float(given) if field.kind == "number" else int(given)
    except ValueError:
        return given, _said(field, gettext("a number"))
    low = (field.least is not None and number < field.least) or (field.above is not None and number <= field.above)
    high = field.most is not None and number > field.most
    return number, _said(field, span(field)) if low or high or number != number or abs(number) > 1e9 else ""


def span(field: Field) -> str:
    """The limits of a number, in words."""
    if field.least is not None and field.most is not None:
        return gettext("%(least)s to %(most)s", least=f"{field.least:g}", most=f"{field.most:g}")
    if field.above is not None:
        return gettext("more than %(above)s", above=f"{field.above:g}")
    return gettext("%(least)s or more", least=f"{field.least or 0:g}")


def _said(field: Field, right: str) -> str:
    return gettext("%(what)s: right would be %(right)s.", what=field.label, right=right)


def _wrong_id(name: str, site: Site) -> Iterator[str]:
    if not _ID.fullmatch(name) or len(name) > MOST_ID:
        yield gettext("The id is made of lower case letters, digits and single hyphens, as gate-north.")
    elif name in site.devices() or name in {link.id for link in site.links}:
        yield gettext("The id %(id)s is taken.", id=name)


def _wrong_unit(table: Mapping[str, object], link: SiteLink) -> list[str]:
    for device in link.devices:
        if isinstance(device.options, ModbusLink) and device.options.unit == table.get("unit"):
            words = gettext(
                "Unit %(unit)s is that of %(device)s on the same line; %(free)s is free.",
                unit=device.options.unit,
                device=device.id,
                free=free_unit(link),
            )
            return [words]
    return []
