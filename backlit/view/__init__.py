"""What a model is, in formulas, shapes and words."""
