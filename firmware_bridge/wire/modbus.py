"""Modbus transactions without I/O: the door to questions, checked answers, four framings and identification.

A question is a `Request`; `read_rtu`, `read_ascii` and `read_tcp` turn the bytes that came back into Registers or a
Trouble, `Identification` asks who a device is. The work is done in `modbus_*`; no ports, no time-outs here.
"""

from firmware_bridge.wire.modbus_answer import BUSY_PAUSE_S
from firmware_bridge.wire.modbus_ascii import STALL_S, ascii_length, ascii_time_ms, gap_ms, read_ascii, unfinished_ascii
from firmware_bridge.wire.modbus_ident import Identification, Level, Page, page
from firmware_bridge.wire.modbus_pdu import MAX_BITS, MAX_REGISTERS, READ_FUNCTION, TABLES, Request
from firmware_bridge.wire.modbus_rtu import (
    DOUBLE_S,
    bits_per_character,
    bus_time_ms,
    read_rtu,
    rtu_length,
    silence_ms,
    unfinished_rtu,
)
from firmware_bridge.wire.modbus_sums import crc16, lrc
from firmware_bridge.wire.modbus_tcp import read_tcp, tcp_length, tcp_transaction

__all__ = [
    "BUSY_PAUSE_S",
    "DOUBLE_S",
    "MAX_BITS",
    "MAX_REGISTERS",
    "READ_FUNCTION",
    "STALL_S",
    "TABLES",
    "Identification",
    "Level",
    "Page",
    "Request",
    "ascii_length",
    "ascii_time_ms",
    "bits_per_character",
    "bus_time_ms",
    "crc16",
    "gap_ms",
    "lrc",
    "page",
    "read_ascii",
    "read_rtu",
    "read_tcp",
    "rtu_length",
    "silence_ms",
    "tcp_length",
    "tcp_transaction",
    "unfinished_ascii",
    "unfinished_rtu",
]
