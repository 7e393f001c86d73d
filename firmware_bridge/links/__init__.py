"""Who holds the cable: a link is `async with` and `async for`, carries bytes and decides nothing about their meaning.

One class a kind of cable (`firmware_bridge.raw.Link`): Modbus bus, serial port, MQTT session. What the bytes say is
`wire`'s, what it means is the hub's.
"""
