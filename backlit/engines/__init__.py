"""Engines run graphs. They know nodes and records, no layer and no loss."""
