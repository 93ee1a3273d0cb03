"""Pictures of models and data: each computes its numbers, and another function draws them."""
