"""Decides: from the stack config to plans and texts. Pure; imports none of the other packages, nor pulumi."""
