"""The releases that the stand-ins stand in for: those that requirements.in asks the SDKs of."""

COMMAND = "1.2.1"
