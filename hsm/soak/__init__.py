"""``yyt hsm soak``: a long, rough conversation in which every answer is checked."""
