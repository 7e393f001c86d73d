"""Which profile fits a unit: each profile is recognised by what its own samples answer, and by nothing else."""

import tomllib

import pytest

from device_profiles.load import profiles
from device_profiles.types import ModbusProfile, RegisterField
from firmware_bridge.raw import Registers, Trouble
from firmware_bridge.wire.match import Verdict, block, judge, proof, questions, rank
from firmware_bridge.wire.modbus import Request, read_rtu
from hub.reading import FaultKind

MODBUS = [profile for profile in profiles().values() if isinstance(profile, ModbusProfile)]
REFUSED = Trouble(FaultKind.REFUSED, "exception 02")


def said_by(profile: ModbusProfile) -> dict[Request, Registers | Trouble]:
    """What the profile's first good samples answer, by question."""
    found: dict[Request, Registers | Trouble] = {}
    for sample in profile.sample:
        if sample.want:
            request = Request.from_rtu(bytes.fromhex(sample.ask))
            answer = read_rtu(request, bytes.fromhex(sample.answer))
            assert answer is not None
            found.setdefault(request, answer)
    return found


def asked_of(answers: dict[Request, Registers | Trouble], profile: ModbusProfile) -> dict[Request, Registers | Trouble]:
    """The questions of a profile, refused where the device has no such answer."""
    return {request: answers.get(request, REFUSED) for request in questions(profile, profile.link.unit)}


@pytest.mark.parametrize("profile", MODBUS, ids=lambda profile: profile.id)
def test_a_device_is_recognised_by_its_own_samples(profile: ModbusProfile) -> None:
    """A product's own answers make it likely, with the values that the sample wants."""
    guess = judge(profile, profile.link.unit, said_by(profile))

    assert guess.verdict is Verdict.LIKELY
    assert guess.values.keys() == profile.reading.keys()


@pytest.mark.parametrize("profile", MODBUS, ids=lambda profile: profile.id)
def test_one_refused_question_is_enough(profile: ModbusProfile) -> None:
    """A device that refuses what the product must answer is not that product; the reason is said."""
    answers = said_by(profile)
    answers[next(iter(answers))] = REFUSED

    guess = judge(profile, profile.link.unit, answers)

    assert guess.verdict is Verdict.UNLIKELY
    assert "refused" in guess.why


def test_out_of_range_is_unlikely() -> None:
    """A register that reads 0 is no sound level: the noise meter's profile does not fit."""
    noise = next(profile for profile in MODBUS if profile.id == "noise/generic-rs485")
    (request,) = questions(noise, 1)

    guess = judge(noise, 1, {request: Registers("holding", 0, 1, b"\0\0")})

    assert guess.verdict is Verdict.UNLIKELY
    assert "out-of-range" in guess.why


def test_nothing_asked_proves_nothing() -> None:
    """Without an answer no profile is likely."""
    assert {judge(profile, 1, {}).verdict for profile in MODBUS} == {Verdict.UNLIKELY}


def test_the_greater_coincidence_comes_first() -> None:
    """Of profiles that all fit, the one whose range random registers would miss most often is the first."""
    wide = RegisterField(address=0, scale=0.001)  # any register is a water level
    narrow = RegisterField(address=0, scale=0.1, range=(30.0, 130.0))
    states = RegisterField(address=0, choices={"on": [1], "off": [0]})
    floats = RegisterField(address=0, type="f32")

    assert proof("water_level", wide) == pytest.approx(0.0, abs=0.1)
    assert proof("laeq", narrow) == pytest.approx(6.03, abs=0.01)  # 1001 of 65536
    assert proof("relay_1", states) == pytest.approx(15.0)
    assert 4 < proof("laeq", floats) < 16
    signed = RegisterField(address=0, type="i16", scale=0.1)
    assert proof("water_temperature", signed) == pytest.approx(6.5, abs=0.1)  # 701 of 65536


def test_likely_ones_stand_before_possible_ones() -> None:
    """The list of guesses is read from the top."""
    noise = next(profile for profile in MODBUS if profile.id == "noise/generic-rs485")
    guesses = [judge(profile, 1, asked_of(said_by(noise), profile), baud=9600) for profile in MODBUS]

    best = rank(guesses)[0]

    assert (best.profile, best.verdict) == ("noise/generic-rs485", Verdict.LIKELY)
    assert [guess.profile for guess in guesses if guess.verdict is not Verdict.UNLIKELY] == [noise.id]


def test_the_block_has_an_id_that_is_free() -> None:
    """What is pasted into the site file takes no id that is there already."""
    text = block("noise/generic-rs485", 3, ["noise-3", "noise-3-2"])

    table = tomllib.loads("[[link]]\n" + text)["link"][0]["device"][0]
    assert table == {"id": "noise-3-3", "profile": "noise/generic-rs485", "unit": 3}
