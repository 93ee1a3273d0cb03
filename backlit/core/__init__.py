"""Nodes, records, the shape language, reverse mode, walks, text. Imports nothing but NumPy."""
