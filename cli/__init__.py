"""Talks to people: meshctl."""
