"""The other end of each cable, played from the same profiles: Modbus units, serial devices, MQTT devices, a community.

It is what demos, tests and benchmarks run against. Nothing here knows the hub's rules, and the hub knows nothing of it.
"""
