"""``yyt bench``: what the switch does in a second, measured on the machine it runs on."""
