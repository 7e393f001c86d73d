"""Figures that mean something: what standards define of sound levels, from every sample that history has kept.

Pure: samples, hours and limits are arguments. How they are drawn and written is `hub/reports`' business.
"""
