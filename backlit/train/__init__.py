"""Compile, fit, evaluate: the model, its loop and its scores."""
