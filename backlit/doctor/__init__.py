"""The doctor: what is wrong with a model, its data or a training, on what evidence, and the fix."""
