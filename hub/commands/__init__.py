"""The commands of `zhian`: the only room that may import every other, for it wires and does nothing else."""
