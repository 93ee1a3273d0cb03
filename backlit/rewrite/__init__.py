"""Rewrites in named phases, each a list of rules. `stable` runs before the derivative, `tidy` after it."""
