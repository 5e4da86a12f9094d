"""``yyt hsm bench``: how fast a key service answers, beside what its ciphers alone could do."""
