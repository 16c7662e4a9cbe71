"""Old and new ids: computed, looked up, and translated in files."""
