"""What the system tests stand on: a gateway process, a raw client before it, a recording app behind it."""
