"""Which compiled program trains which member, by what it costs on the device."""
