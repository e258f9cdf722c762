"""Defects planted in random histories: what each check must find, and heal as it says."""
