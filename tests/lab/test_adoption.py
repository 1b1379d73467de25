"""A real `up` on hosts that run WireGuard by hand: what is granted survives it, what is not ends, and the hand edit is
gone after `destroy`, its file kept."""
