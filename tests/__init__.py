"""The tests, a package so that they can share modules: `python -m pytest` from the checkout's root."""
