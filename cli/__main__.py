"""Lets `python -m cli` do what `meshctl` does."""

from cli.main import main

main()
