"""What one run holds open, as one `Session`.

The home, the database, the store, the plugin registry, the remotes and the clock. Rooms above
take a session instead of its parts.
"""

__all__: list[str] = []
