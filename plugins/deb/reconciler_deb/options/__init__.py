"""The keys of a source, of a Filter and of a publication, and what their words mean."""

__all__: list[str] = []
