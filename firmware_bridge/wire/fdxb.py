"""The FDX-B telegram (ISO 11785) as readers pass it on raw: 8 bytes of code and the CRC over them.

What the code's bits mean is `device_profiles.iso11784`'s. The trailer (3 bytes) is covered by no CRC, and is not read.
"""

SIZE = 10  # 8 bytes of code, 2 of CRC, each as it came off the air: the first bit is the lowest


def crc(data: bytes | bytearray) -> int:
    """CRC-16/KERMIT: polynomial 0x1021 reflected, start 0; "123456789" gives 0x2189, and published captures agree."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x8408 if value & 1 else 0)
    return value


def wrong_checksum(telegram: bytes) -> str:
    """What is wrong with the CRC of these SIZE bytes, in words; empty when it is right."""
    came, right = int.from_bytes(telegram[8:10], "little"), crc(telegram[:8])
    return "" if came == right else f"the chip's CRC {came:04x} is wrong, {right:04x} would be right"


def bits(telegram: bytes | bytearray) -> int:
    """The 64 bits of the code, the most significant first."""
    return int.from_bytes(telegram[:8], "little")


def patched(telegram: bytes | bytearray, chip: str) -> bytes:
    """The same telegram with another chip (15 digits) in it, and its CRC."""
    code = bits(telegram) >> 48 << 48 | int(chip[:3]) << 38 | int(chip[3:])
    data = code.to_bytes(8, "little")
    return data + crc(data).to_bytes(2, "little")
