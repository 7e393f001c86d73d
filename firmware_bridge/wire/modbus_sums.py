"""The two checksums of Modbus on a serial line: CRC-16 of RTU, LRC of ASCII (MODBUS over serial line V1.02, 6.2).

Pure arithmetic on bytes. What is done with a wrong sum is the framings' business.
"""


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ 0xA001 if byte & 1 else byte >> 1
        table.append(byte)
    return tuple(table)


_CRC = _crc_table()


def crc16(data: bytes) -> bytes:
    """CRC-16/MODBUS (0xA001 reflected, start 0xFFFF; "123456789" gives 0x4B37), low byte first as on the wire."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


def lrc(data: bytes) -> bytes:
    """The byte that makes the sum of all bytes 0. It catches every damage to one byte, but not every one to two."""
    return bytes([-sum(data) & 0xFF])
