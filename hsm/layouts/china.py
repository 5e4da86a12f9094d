"""Tables of the Chinese additions: MS and this project's own SM4 commands."""
