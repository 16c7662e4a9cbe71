"""Old ids and new ones: computed, looked up, and translated in files."""
