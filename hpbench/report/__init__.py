"""Records and boards as text: terminal tables, markdown, CSV, JSON."""
