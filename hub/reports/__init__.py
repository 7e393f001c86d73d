"""Reports on paper: what the figures of a month say of a place, as a workbook (XLSX) and as a document (PDF).

`noise.py` gathers, `xlsx.py` and `pdf.py` write, `shelf.py` is the folder where they stand. Nothing here is decided.
"""
