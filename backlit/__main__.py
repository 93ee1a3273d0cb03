"""`python -m backlit`."""

from .cli import main

main()
