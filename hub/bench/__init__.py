"""Benchmarks: one file a figure, each measuring the real parts on this machine. `hub/commands/bench.py` prints them.

A bench is a module with `SECONDS` (how long it runs when nobody says) and `measure(seconds, seed)`, which returns a
struct of figures. No figure is written here by hand, and no part of the hub imports this room.
"""
