"""Stand-ins for clouds: accounts that refuse what the real ones refuse, and a fabric that enforces the declared."""
