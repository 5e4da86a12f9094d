"""``yyt audit``: do bank, hospital, journal and terminals tell the same story (I1)?"""
