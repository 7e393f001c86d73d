"""From a link of the site to an open Modbus line: which port, which framing, how long is quiet.

It opens once and says why it could not; trying again is the bus's business.
"""

from collections.abc import Callable

from firmware_bridge.links.modbus_lines import Line, SerialLine, ascii_, rtu
from firmware_bridge.links.modbus_tcp import open_modbus_tcp
from firmware_bridge.links.ports import Port, open_port, open_tcp
from hub.settings.site import ModbusAsciiLink, ModbusLine, ModbusRtuLink, ModbusRtuOverTcpLink, ModbusTcpLink

_NETWORK_S = 1.0  # so much longer an answer may be under way through a network: two repetitions of a lost packet


async def open_line(
    link: ModbusLine, slowest: float, on_lost: Callable[[], None], hear: Callable[[Port], Port] = lambda port: port
) -> tuple[Line, str]:
    """The line, and words for an electrician. `slowest`: the longest time-out of its units, in s. Raises PortError.

    `hear` may put somebody who listens between line and port; Modbus TCP has none: questions may overlap.
    """
    match link:
        case ModbusTcpLink():
            return await open_modbus_tcp(link.host, link.port, on_lost=on_lost), f"{link.host}:{link.port}"
        case ModbusRtuOverTcpLink():
            server = await open_tcp(link.host, link.port, on_lost=on_lost)
            framing = rtu(link.baud, link.parity, link.stop_bits)
            line = SerialLine(hear(server), framing, quiet=slowest, network=_NETWORK_S, undelivered=server.undelivered)
            return line, f"{link.host}:{link.port}: RTU at {link.baud} baud, 8{link.parity}{link.stop_bits}"
        case ModbusRtuLink():
            data_bits, framing = 8, rtu(link.baud, link.parity, link.stop_bits)
        case ModbusAsciiLink():
            data_bits, framing = link.data_bits, ascii_(link.baud, link.parity, link.stop_bits, link.data_bits)
    port = await open_port(
        link.port,
        baud=link.baud,
        parity=link.parity,
        stop_bits=link.stop_bits,
        data_bits=data_bits,
        on_lost=on_lost,
    )
    detail = f"{link.port}: {link.baud} baud, {data_bits}{link.parity}{link.stop_bits}"
    return SerialLine(hear(port), framing, quiet=slowest), detail
